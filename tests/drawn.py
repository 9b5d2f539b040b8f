"""Sagas drawn by lot, of every kind of block, their steps under contracts of any strength."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from saga_fsm.definition import (
    GUARDED,
    SKIP,
    Contract,
    Retry,
    Saga,
    alternatives,
    choice,
    each,
    parallel,
    pivot,
    readonly,
    retriable,
    step,
)
from tests.reference import act, ask, chooser, several, undo


RETRIES = (Retry(), Retry(), Retry(attempts=2, wait_initial=1.0), Retry.forever())


class Lots:
    """
    Draws one saga from a seed.

    Args:
        seed: the same seed gives the same saga.
        weak: the share of steps that promise less than everything.
    """

    def __init__(self, seed: int, *, weak: float) -> None:
        self.random = Random(seed)
        self.weak = weak
        self.room = self.random.randint(1, 4)
        self._number = 0

    def saga(self) -> Saga[Any, Any]:
        """A saga of at most four steps before its end, then perhaps a pivot and what follows."""
        blocks = [self.block(2)]
        while self.room > 0 and self.often(0.6):
            blocks.append(self.block(2))
        if self.often(0.5):
            blocks.append(self.random.choice([self.pivot, self.nested_pivot, self.beside])())
        while self.often(0.3):
            blocks.append(self.random.choice([self.final, self.final_alternatives, self.many])())
        return Saga("drawn", *blocks)

    def often(self, share: float) -> bool:
        """True in this share of cases."""
        return self.random.random() < share

    def name(self, letter: str) -> str:
        """A name that nobody else has."""
        self._number += 1
        return f"{letter}{self._number}"

    def options(self) -> dict[str, Any]:
        """A contract, a policy, perhaps a query."""
        self.room -= 1
        query = {"query": ask} if self.often(0.2) else {}
        contract = GUARDED
        if self.often(self.weak):
            flags = ("idempotent", "sticky", "fenced")
            contract = Contract(**{flag: self.often(0.6) for flag in flags})
        return {"contract": contract, "retry": self.random.choice(RETRIES), **query}

    def step(self, _: int = 0) -> Any:
        """A step that can be undone."""
        patience = self.random.choice(RETRIES)
        name = self.name("c")
        return step(act, name=name, compensate=undo, compensation_retry=patience, **self.options())

    def read(self, _: int = 0) -> Any:
        """A step that only looks."""
        self.room -= 1
        return readonly(act, name=self.name("o"), retry=self.random.choice(RETRIES))

    def pivot(self) -> Any:
        """The point of no return."""
        return pivot(act, name=self.name("p"), **self.options())

    def final(self) -> Any:
        """A step that must be done at last; sometimes one that looks."""
        if self.often(0.2):
            return self.read()
        return retriable(act, name=self.name("r"), **self.options())

    def block(self, depth: int) -> Any:
        """Any block that can be undone."""
        kinds: list[Callable[[int], Any]] = [self.step, self.step, self.step, self.read]
        if depth and self.room > 0:
            kinds += [self.parallel, self.choice, self.each, self.nested, self.alternatives]
        return self.random.choice(kinds)(depth - 1)

    def parallel(self, depth: int) -> Any:
        """Two branches."""
        return parallel(self.block(depth), self.block(depth))

    def choice(self, depth: int) -> Any:
        """One of two, or nothing, or nothing at all."""
        name = self.name("x")
        if self.often(0.1):
            return choice(chooser, yes=SKIP, otherwise=SKIP, name=name)
        other = SKIP if self.often(0.5) else self.block(depth)
        return choice(chooser, yes=self.block(depth), otherwise=other, name=name)

    def each(self, depth: int) -> Any:
        """One or two copies, in order or not."""
        return each(
            several,
            self.block(depth),
            max_items=self.random.randint(1, 2),
            concurrent=self.often(0.5),
            name=self.name("e"),
        )

    def nested(self, depth: int) -> Any:
        """A saga in the saga: plain, with a deadline, an input, or undone as a whole."""
        blocks = [self.block(depth)]
        if self.often(0.4):
            blocks.append(self.block(depth))
        whole = self.often(0.3)
        if whole and self.often(0.6):
            blocks.append(self.pivot())
        if whole and self.often(0.4):
            blocks.append(self.final())
        deadline = 9.0 if self.often(0.2) else None
        made = Saga(self.name("n"), *blocks, deadline=deadline, compensate=undo if whole else None)
        return made.given(chooser) if self.often(0.2) else made

    def alternatives(self, depth: int) -> Any:
        """One or the other."""
        options = [self.block(depth) for _ in range(self.random.randint(1, 2))]
        return alternatives(*options, self.step(), name=self.name("a"))

    def nested_pivot(self) -> Any:
        """The point of no return in a nested saga, or on one of several ways."""
        how = self.random.randint(0, 2)
        if how == 0:
            return Saga(self.name("n"), self.step(), self.pivot())
        if how == 1:
            return choice(chooser, yes=self.pivot(), otherwise=SKIP, name=self.name("x"))
        return alternatives(self.pivot(), self.step(), name=self.name("a"))

    def beside(self) -> Any:
        """The point of no return, and what waits for it."""
        one = self.pivot() if self.often(0.5) else Saga(self.name("n"), self.step(), self.pivot())
        return parallel(one, self.final())

    def final_alternatives(self) -> Any:
        """Alternatives past the point of no return: the last must be done."""
        return alternatives(
            Saga(self.name("n"), self.step(), self.pivot()),
            retriable(act, name=self.name("r"), **self.options()),
            name=self.name("a"),
        )

    def many(self) -> Any:
        """What must be done at last, for each of some items."""
        return each(
            several, self.final(), max_items=2, concurrent=self.often(0.5), name=self.name("e")
        )
