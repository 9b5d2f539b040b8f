"""
What has to be remembered of runs that meet on resources: small fields with constant updates.

- ``~lock x``: who holds the lock x.
- ``~@over(a,b)``: of two writes that stand, which one came later.
- ``~@seen(A,r)``: whether a run has touched r: not yet, written only, read.
- ``~@since(A,w,r)``: whether the write w of another was made, or taken back, since A last did.
- ``~@read(s,w,r)``: whether the step s has read r as w has written it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TypeAlias

from saga_fsm.product._network import Field, Guard, Literal, Update
from saga_fsm.product._several import LOCK
from saga_fsm.product._uses import Use


# What is remembered at a move, by what holds before it: exactly one of these.
Cases: TypeAlias = list[tuple[Guard, Update]]
FREE = 0
UNSEEN, WRITTEN, READ = range(3)


class Memory:
    """
    The fields, and what becomes of them when a step lands or is undone.

    Args:
        fields: of the runs; those of the memory are added to it.
        names: of the runs.
        uses: of all runs.
        reread: see ``shared``.
        versioned: see ``shared``.
    """

    def __init__(
        self,
        fields: list[Field],
        names: Sequence[str],
        uses: Sequence[Use],
        reread: frozenset[str],
        versioned: frozenset[str],
    ) -> None:
        self.fields, self.names, self.uses = fields, names, uses
        self.reread, self.versioned = reread, versioned
        self.lock: dict[str, int] = {}
        self.over: dict[tuple[Use, Use], int] = {}
        self.seen: dict[tuple[int, str], int] = {}
        self.since: dict[tuple[int, Use, str], int] = {}
        self.read: dict[tuple[Use, Use, str], int] = {}
        for lock in dict.fromkeys(lock for use in uses for lock in use.placed.step.locks):
            self.lock[lock] = self._add(f"{LOCK}{lock}", "free", *names)
        self.resources: list[str] = []

    def watch(self) -> None:
        """Remember reads and writes as well, of each resource that more than one run names."""
        steps = ((use.i, use.placed.step) for use in self.uses)
        self.resources = _met((i, (*step.reads, *step.writes)) for i, step in steps)
        for resource in self.resources:
            self._remember(resource)

    def _add(self, name: str, *values: str) -> int:
        self.fields.append(Field(name, values))
        return len(self.fields) - 1

    def _remember(self, resource: str) -> None:
        touching = [use for use in self.uses if use.touches(resource)]
        writers = [use for use in touching if use.writes(resource)]
        for a, b in combinations(writers, 2):
            matters = a.i != b.i or a.blind(resource) or b.blind(resource)
            needed = matters and (a.undoable or b.undoable) and self.conflict(a, b, resource)
            if needed and (a, b) not in self.over:
                field = self._add(f"~@over({a.name},{b.name})", "no", b.name, a.name)
                self.over[a, b] = field
        for i, name in enumerate(self.names):
            mine = [use for use in touching if use.i == i]
            others = [use for use in writers if use.i != i]
            if len(mine) > 1 and others and self._looks_back(mine, resource):
                self.seen[i, resource] = self._add(f"~@seen({name},{resource})", "no", "w", "r")
                for use in others:
                    field = self._add(f"~@since({name},{use.name},{resource})", "no", "yes")
                    self.since[i, use, resource] = field
        for use in touching:
            for other in writers:
                dirty = use.i != other.i and use.reads(resource) and other.undoable
                if dirty and resource not in self.versioned:
                    name = f"~@read({use.name},{other.name},{resource})"
                    self.read[use, other, resource] = self._add(name, "no", "yes")

    def _looks_back(self, mine: Sequence[Use], resource: str) -> bool:
        """Whether what a run has seen before can matter to it later."""
        if resource in self.reread or any(use.blind(resource) for use in mine):
            return True
        return self._reads_again(mine[0].i, resource)

    def conflict(self, one: Use, other: Use, resource: str) -> bool:
        """Whether two writes of a resource may not come in any order."""
        both = one.writes(resource) and other.writes(resource)
        return both and resource not in self.versioned and not one.commutes(other, resource)

    # ------------------------------------------------------------------ reading the fields

    def landed(self, use: Use, *, stands: bool = True) -> Literal:
        """The effect of a step stands, or does not."""
        if use.ledger is None:
            raise AssertionError(f"{use.name} has no effect")
        names = self.fields[use.ledger].values
        return use.ledger, frozenset(x for x, n in enumerate(names) if (n == "landed") is stands)

    def is_over(self, use: Use, other: Use, *, yes: bool = True) -> Literal | None:
        """
        Whether one write stands and came later than the other, if that stands; or not.

        None where it is not remembered. Of what lands first it is said as well, and taken back by
        any undo: so it needs no look at the other's ledger, and splits no command.
        """
        if (use, other) in self.over:
            return self.over[use, other], frozenset({2} if yes else {0, 1})
        if (other, use) in self.over:
            return self.over[other, use], frozenset({1} if yes else {0, 2})
        return None

    # ------------------------------------------------------------------ when a step lands

    def may_land(self, use: Use) -> list[Guard]:
        """
        What a step waits for, one of these: that no other run holds a lock that it names.

        And, where it looks again, that what its run has seen is as it was.
        """
        mine = frozenset({FREE, use.i + 1})
        ways: list[Guard] = [
            tuple((self.lock[x], mine) for x in use.placed.step.locks if x in self.lock)
        ]
        for resource in self.reread:
            seen = self.seen.get((use.i, resource))
            if seen is None or use.lets_go or not use.touches(resource):
                continue
            same = [(field, frozenset({0})) for field in self._looks(use.i, resource)]
            unseen: Guard = ((seen, frozenset({UNSEEN})),)
            as_seen: Guard = ((seen, frozenset({WRITTEN, READ})), *same)
            ways = [(*way, *more) for way in ways for more in (unseen, as_seen)]
        return ways

    def _looks(self, i: int, resource: str) -> list[int]:
        """What a run has to remember of one resource."""
        return [field for (j, _, r), field in self.since.items() if (j, r) == (i, resource)]

    def landing(self, use: Use) -> Iterator[Cases]:
        """What is remembered when a step lands: one of each of these."""
        for lock in use.placed.step.locks:
            if lock in self.lock and (use.takes or use.lets_go):
                holder = use.i + 1 if use.takes else FREE
                yield [((), ((self.lock[lock], holder),))]
        for (a, b), field in self.over.items():
            if use in (a, b):
                yield [((), ((field, 1 if use is b else 2),))]
        for (reader, writer, resource), field in self.read.items():
            if reader is use:
                yield self._reading(writer, resource, field)
        for resource in self.resources:
            if use.touches(resource) and (use.i, resource) in self.seen:
                yield from self._looking(use, resource)
        for (_, writer, _), field in self.since.items():
            if writer is use:
                # Also for who has seen nothing yet: his first look settles it.
                yield [((), ((field, 1),))]

    def _reading(self, writer: Use, resource: str, field: int) -> Cases:
        """Whether a write stands and is seen: not where one hides it that was made blindly."""
        hiders = [
            use for use in self.uses if use.blind(resource) and self.conflict(use, writer, resource)
        ]
        cases: Cases = [((self.landed(writer, stands=False),), ())]
        seen: Guard = (self.landed(writer),)
        for use in hiders:
            hides, not_hides = self.is_over(use, writer), self.is_over(use, writer, yes=False)
            if use is not writer and hides is not None and not_hides is not None:
                cases.append(((*seen, hides), ()))
                seen = (*seen, not_hides)
        return [*cases, (seen, ((field, 1),))]

    def _looking(self, use: Use, resource: str) -> Iterator[Cases]:
        """A run touches what it will look at again."""
        seen = self.seen[use.i, resource]
        same: Update = tuple((field, 0) for field in self._looks(use.i, resource))
        if use.reads(resource):
            yield [((), (*same, (seen, READ)))]
        elif self._reads_again(use.i, resource):
            read, not_read = frozenset({READ}), frozenset({UNSEEN, WRITTEN})
            yield [(((seen, not_read),), (*same, (seen, WRITTEN))), (((seen, read),), same)]
        else:
            yield [((), (*same, (seen, WRITTEN)))]

    def _reads_again(self, i: int, resource: str) -> bool:
        return sum(use.i == i and use.reads(resource) for use in self.uses) > 1

    # ------------------------------------------------------------------ when a step is undone

    def undoing(self, use: Use) -> Iterator[Cases]:
        """What is remembered when a step is undone, but for its locks: one of each of these."""
        reset = [(field, 0) for pair, field in self.over.items() if use in pair]
        if reset:
            yield [((), tuple(reset))]
        for (_, writer, _), field in self.since.items():
            if writer is use:
                # Made and taken back since the last look: as it was.
                first, again = frozenset({0}), frozenset({1})
                yield [(((field, first),), ((field, 1),)), (((field, again),), ((field, 0),))]

    def letting_go(self, gone: Sequence[Use], *, held: bool) -> Iterator[Cases]:
        """
        What becomes of the locks when steps of one run are undone together.

        ``held``: a retriable step of theirs cannot have let go of them before.
        """
        for lock, field in self.lock.items():
            named = [use for use in gone if use.takes and lock in use.placed.step.locks]
            if not named:
                continue
            i = named[0].i
            kept = [
                use
                for use in self.uses
                if use.i == i and use.takes and lock in use.placed.step.locks and use not in gone
            ]
            mine = frozenset({i + 1})
            others = frozenset(range(len(self.names) + 1)) - mine
            cases: Cases = [] if held else [(((field, others),), ())]
            left: Guard = () if held else ((field, mine),)
            for use in kept:
                cases.append(((*left, self.landed(use)), ()))
                left = (*left, self.landed(use, stands=False))
            yield [*cases, (left, ((field, FREE),))]


def _met(named: Iterable[tuple[int, Iterable[str]]]) -> list[str]:
    """The names that more than one run uses, in order."""
    runs: dict[str, set[int]] = {}
    for i, names in named:
        for name in names:
            runs.setdefault(name, set()).add(i)
    return [name for name, found in runs.items() if len(found) > 1]
