"""Which state of one product a state of another is: by path and by the names of local states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from saga_fsm.definition import Saga
from saga_fsm.definition.layout import Layout, lay_out
from saga_fsm.errors import UnknownStepError
from saga_fsm.product import Network, Values


# Where nothing has happened yet.
_UNTOUCHED = {"pending", "open", "none", "up", "no"}
# Where a read-only step is over, and owes nothing to anybody.
_OVER = {"done", "rejected", "compensated"}


@attrs.frozen
class Obstacle:
    """
    Why a run cannot go on.

    Args:
        step: path of the step in the old saga, or in the new one where it is new; or empty.
        reason: one sentence.
        remedy: what would help.
    """

    step: str
    reason: str
    remedy: str


def named(field: str) -> str:
    """A field of a product as a user knows it."""
    if field.startswith("~"):
        return f"the participant of {named(field[1:])}"
    scope, _, last = field.rpartition("/")
    if last == "@stop":
        return "the cancel or deadline" + (f" of '{scope}'" if scope else "")
    return {"@saga": "the saga", "@up": "the orchestrator"}.get(field, f"'{field}'")


class Renaming:
    """
    Paths of the old saga, as the new one has them.

    Args:
        old: the old saga, laid out.
        new: the new one.
        renamed: new names of steps, nested sagas and blocks, by their old ones.

    Raises:
        UnknownStepError: a name that its saga does not have.
    """

    def __init__(self, old: Layout, new: Layout, renamed: Mapping[str, str]) -> None:
        self._names = dict(renamed)
        for layout, names in ((old, renamed.keys()), (new, renamed.values())):
            known = _names(layout)
            for name in names:
                if name not in known:
                    raise UnknownStepError(
                        saga=layout.saga.name, step=name, found=(), known=tuple(known)
                    )

    def __call__(self, path: str) -> str:
        """The path in the new saga."""
        mark, plain = (path[0], path[1:]) if path[:1] == "~" else ("", path)
        if plain in self._names:
            return mark + self._names[plain]
        return mark + "/".join(self._part(part) for part in plain.split("/"))

    def _part(self, part: str) -> str:
        name, bracket, index = part.partition("[")
        return self._names.get(name, name) + bracket + index


def _names(layout: Layout) -> dict[str, None]:
    paths = [*layout.steps, *layout.scopes, *layout.decisions, *layout.alternatives]
    plain = [part.partition("[")[0] for path in paths for part in path.split("/")]
    return dict.fromkeys(x for x in (*paths, *plain) if not x.startswith("@"))


class Carrier:
    """
    Carries states of an old product over to a new one.

    Args:
        old: the old saga and its network.
        new: the new ones.
        renamed: new names by old ones.
    """

    def __init__(
        self,
        old: tuple[Saga[Any, Any, Any], Network],
        new: tuple[Saga[Any, Any, Any], Network],
        renamed: Mapping[str, str],
    ) -> None:
        self.old, self.new = old[1], new[1]
        before, after = lay_out(old[0]), lay_out(new[0])
        self.rename = Renaming(before, after, renamed)
        places = {field.name: f for f, field in enumerate(self.new.fields)}
        self._to = [places.get(self.rename(field.name)) for field in self.old.fields]
        self.fresh = [f for f in range(len(self.new.fields)) if f not in self._to]
        self._values = [
            {} if g is None else {x: y for y, x in enumerate(self.new.fields[g].values)}
            for g in self._to
        ]
        self._kinds = {path: placed.kind.value for path, placed in before.steps.items()}
        new_kinds = {path: placed.kind.value for path, placed in after.steps.items()}
        # Steps whose kind has changed: what a run owes for them has changed too.
        self._changed = {
            path: (kind, new_kinds[self.rename(path)])
            for path, kind in self._kinds.items()
            if new_kinds.get(self.rename(path), kind) != kind
        }
        self._suggested = _suggested(self._kinds, new_kinds, self.rename)

    def carry(self, values: Values) -> Values | Obstacle:
        """The state of the new product that a state of the old one is, if there is one."""
        found = [0] * len(self.new.fields)
        for f, (field, value) in enumerate(zip(self.old.fields, values, strict=True)):
            name, local, g = field.name, field.values[value], self._to[f]
            if name in self._changed and local not in _UNTOUCHED:
                was, now = self._changed[name]
                return Obstacle(
                    name,
                    f"'{name}' is {was} in the old saga and {now} in the new one, and this run has "
                    "come to it: what is owed for it would be another thing",
                    f"give the step with the new kind a new name, and keep the old '{name}' until "
                    "these runs have ended",
                )
            if g is None:
                if local in _UNTOUCHED or self._owes_nothing(name, local):
                    continue
                return self._gone(name, local)
            new = self._values[f].get(local)
            if new is None:
                return self._unknown_to_new(name, local)
            found[g] = new
        return tuple(found)

    def _owes_nothing(self, name: str, local: str) -> bool:
        return self._kinds.get(name) == "readonly" and local in _OVER

    def _gone(self, name: str, local: str) -> Obstacle:
        plain = name.removeprefix("~")
        remedy = f"keep '{plain}' until these runs have ended"
        if plain in self._suggested:
            remedy = (
                f"if '{plain}' is called '{self._suggested[plain]}' now, say so: "
                f"renamed={{{plain!r}: {self._suggested[plain]!r}}} "
                f"(--renamed {plain}={self._suggested[plain]}); else {remedy}"
            )
        text = f"{named(plain)} is not in the new saga, and this run has come to it ({local})"
        return Obstacle(plain, text, remedy)

    def _unknown_to_new(self, name: str, local: str) -> Obstacle:
        plain = name.removeprefix("~")
        return Obstacle(
            plain,
            f"{named(name)} is {local} here, which the new saga does not know",
            f"keep what makes it possible (retry, query, contract or compensation of '{plain}') "
            "until these runs have ended",
        )


def _suggested(old: dict[str, str], new: dict[str, str], rename: Renaming) -> dict[str, str]:
    """For each step that is gone, one of the same kind that is new, in the order of both."""
    gone = [path for path in old if rename(path) not in new]
    there = {rename(path) for path in old}
    come = [path for path in new if path not in there]
    found = {}
    for path in gone:
        for other in come:
            if new[other] == old[path]:
                found[path] = other
                come.remove(other)
                break
    return found
