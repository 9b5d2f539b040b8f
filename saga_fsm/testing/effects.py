"""
What was really done to the world: the observer that no run can talk out of the facts.

The orchestrator believes what it was told; the log sees each call that reached the participants,
whoever made it and whether or not its reply came back. By the log alone these are told apart: an
effect that was left behind, one that landed after its own undo, one undone too early, one undone
although the run completed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from saga_fsm.compiler import Order
from saga_fsm.definition import Kind, Rejected
from saga_fsm.definition.layout import Layout


__all__ = ["EffectLog", "Performed", "successors"]

What: TypeAlias = Literal["action", "compensation", "query"]
Answer: TypeAlias = Literal["done", "rejected", "raised"]

_LANDED, _UNDONE, _FENCED, _AFTER = 1, 2, 4, 8


@attrs.frozen
class Performed:
    """One call that reached a participant, and how that answered."""

    what: What
    path: str
    answer: Answer
    error: BaseException | None = None


class EffectLog:
    """
    Every call that reached the world, in order, and what stands of it.

    Args:
        layout: the saga, laid out.
        after: per step, the steps of its scope that come after it, as ``successors`` gives them.
    """

    def __init__(self, layout: Layout, after: Mapping[str, Sequence[str]] | None = None) -> None:
        self.performed: list[Performed] = []
        self.out_of_order: list[str] = []
        #: Steps that took an action whose key they had refused before.
        self.forgetful: list[str] = []
        #: Which promises a call has put to the test: the step's path and the promise.
        self.tested: set[tuple[str, str]] = set()
        self._layout = layout
        self._marks: dict[str, int] = {}
        self._doubtful: set[str] = set()
        self._ordered: set[str] = set()
        self._refused: set[str] = set()
        self._denied: set[str] = set()
        self._undoings: set[str] = set()
        #: Steps whose action landed after their query had said that it has not and cannot.
        self.belied: list[str] = []
        self._frozen: frozenset[tuple[str, int]] | None = frozenset()
        self._wholes = [path for path, scope in layout.scopes.items() if scope.compensate]
        self._after = successors(layout) if after is None else after

    def __iter__(self) -> Iterator[Performed]:
        return iter(self.performed)

    def record(self, what: What, path: str, error: BaseException | None) -> None:
        """Write down a call that reached the participant of a step."""
        answer: Answer = "done"
        if error is not None:
            answer = "rejected" if isinstance(error, Rejected) else "raised"
        self.performed.append(Performed(what, path, answer, error))
        if what == "query":
            self.tested.add((path, "query"))
            if answer == "rejected":
                self._denied.add(path)
            return
        if what == "compensation":
            self._in_order(path)
            self._undoings.add(path)
        else:
            self._put_to_the_test(path, answer)
        if error is None:
            self._mark(what, path)

    def doubt(self, path: str) -> None:
        """Note that whoever called an action cannot know for sure that it did not land."""
        self._doubtful.add(path)

    def asked_about(self, path: str) -> bool:
        """Whether a doubt was ended: by an undo, the whole's, a query's no, or an operator."""
        asked = self._undoings | self._denied | self._ordered
        return path in asked or any(path.startswith(f"{one}/") for one in self._undoings)

    def ordered(self, path: str) -> None:
        """An operator has decided about a step: what was believed of it is his now."""
        self._denied.discard(path)
        self._refused.discard(path)
        self._ordered.add(path)

    def doubtful(self, path: str) -> bool:
        """Whether there is a reason to undo a step: it has landed, or somebody cannot know."""
        return path in self._doubtful or self.landed(path)

    def _put_to_the_test(self, path: str, answer: Answer) -> None:
        mark = self._marks.get(path, 0)
        if mark & _LANDED:
            self.tested.add((path, "idempotent"))
        elif mark & _FENCED:
            self.tested.add((path, "fenced"))
        if path in self._refused:
            self.tested.add((path, "sticky"))
            if answer == "done" and path not in self.forgetful:
                self.forgetful.append(path)
        if answer == "rejected" and not mark & (_LANDED | _FENCED):
            self._refused.add(path)

    def _mark(self, what: What, path: str) -> None:
        self._frozen = None
        mark = self._marks.get(path, 0)
        if what == "action":
            # An idempotent participant answers as before, and nothing new lands.
            new = 0 if mark & _LANDED else _LANDED | (_AFTER if mark & _FENCED else 0)
            if new and path in self._denied:
                self.belied.append(path)
            self._marks[path] = mark | new
        elif mark & _LANDED:
            self._marks[path] = (mark | _UNDONE) & ~_AFTER
        else:
            self._marks[path] = mark | _FENCED

    def _in_order(self, path: str) -> None:
        for later in self._after.get(path, ()):
            if self.stands(later):
                self.out_of_order.append(f"{path} was undone while {later}, after it, still stood")

    @property
    def marks(self) -> frozenset[tuple[str, int]]:
        """What stands and what was undone, as one value: equal worlds have equal marks."""
        if self._frozen is None:
            self._frozen = frozenset(self._marks.items())
        return self._frozen

    def stands(self, path: str) -> bool:
        """Whether the effect of a step stands, as far as calls can tell."""
        mark = self._marks.get(path, 0)
        if not mark & _LANDED or mark & _UNDONE:
            return False
        return not any(
            path.startswith(f"{whole}/") and self._marks.get(whole, 0) for whole in self._wholes
        )

    def landed(self, path: str) -> bool:
        """Whether the effect of a step has ever landed."""
        return bool(self._marks.get(path, 0) & _LANDED)

    def undone(self, path: str) -> bool:
        """Whether an effect that had landed was taken back, alone or with the whole around it."""
        return self.landed(path) and not self.stands(path)

    def landed_after_undo(self) -> list[str]:
        """Steps whose action landed after their undo had found nothing: a broken fence."""
        return [path for path, mark in self._marks.items() if mark & _AFTER]

    def standing(self) -> list[str]:
        """Steps with an effect that stands, in the order of the definition."""
        return [
            path
            for path, placed in self._layout.steps.items()
            if placed.kind is not Kind.READONLY and self.stands(path)
        ]


def _has_effect(layout: Layout, path: str) -> bool:
    placed = layout.steps.get(path)
    return placed is not None and placed.kind is not Kind.READONLY


def successors(layout: Layout) -> dict[str, list[str]]:
    """Per step, the steps of the same scope with an effect that come after it, however far."""
    after: dict[str, list[str]] = {}
    for scope in layout.scopes.values():
        direct: dict[str, Any] = Order(scope.body).successors
        for unit, next_ones in direct.items():
            if unit not in layout.steps:
                continue
            reached: dict[str, None] = {}
            todo = list(next_ones)
            while todo:
                later = todo.pop()
                if later not in reached:
                    reached[later] = None
                    todo.extend(direct[later])
            after[unit] = [path for path in reached if _has_effect(layout, path)]
    return after
