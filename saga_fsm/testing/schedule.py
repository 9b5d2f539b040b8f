"""From a counterexample of the checker to a fault plan: the same story, told to the real runner."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.path import Path
from saga_fsm.testing.plan import Fault, FaultPlan, Injection, site_at


__all__ = ["plan_of"]

_ANSWERS = {"rejected": Fault.REJECT, "transient": Fault.TRANSIENT}
_CALLED = {"started", "restarted"}
_UNDOING = {"compensating", "whole_compensating"}


def plan_of(saga: Saga[Any, Any, Any], path: Path) -> FaultPlan:
    """
    Give the faults that lead a run along a checker's path, as far as plans can say it.

    What lands before its call is given up is a lost reply, what lands after is late; a second copy
    is a duplicate; a crash is one before the call that is open. The checker's participants break
    promises that were not made. The user's may keep them: then the plan ends consistent, and the
    promise can be declared.

    Args:
        saga: whose path it is.
        path: of a finding.

    >>> from saga_fsm import Contract, check, step
    >>> def pay(ctx): ...
    >>> def pay_back(ctx, payment): ...
    >>> promised = Contract(idempotent=True, sticky=True)
    >>> careless = Saga("pay", step(pay, compensate=pay_back, contract=promised))
    >>> report = check(careless)
    >>> str(plan_of(careless, next(f.path for f in report.findings if f.path)))
    'pay@0=late'
    """
    return FaultPlan(tuple(_Reading(saga).of(path)))


class _Reading:
    def __init__(self, saga: Saga[Any, Any, Any]) -> None:
        self.machine = compile_saga(saga)
        self.state = self.machine.initial
        self.calls: Counter[str] = Counter()
        self.landed: set[str] = set()
        self.faults: dict[tuple[str, int], Fault] = {}
        self.given_up: defaultdict[str, list[int]] = defaultdict(list)

    def of(self, path: Path) -> list[Injection]:
        for move in path.moves:
            word, _, inside = move.token.removeprefix("~").partition("(")
            where = inside.removesuffix(")").partition(",")[0]
            if move.is_event:
                self._event(word, where)
                self._step(move.token)
            else:
                self._silent(word, where)
        return [Injection(site, number, fault) for (site, number), fault in self.faults.items()]

    def _step(self, event: str) -> None:
        before, self.state = self.state, self.machine.step(self.state, event).state
        for path in self.machine.index:
            if before[path] != self.state[path]:
                if self.state[path] in _CALLED:
                    self.calls[site_at(path)] += 1
                elif self.state[path] in _UNDOING:
                    self.calls[site_at(path, "compensation")] += 1

    def _open(self, where: str) -> tuple[str, int]:
        undoing = self.state[where] in _UNDOING
        return self._last(site_at(where, "compensation" if undoing else ""))

    def _last(self, site: str) -> tuple[str, int]:
        return site, max(0, self.calls[site] - 1)

    def _event(self, word: str, where: str) -> None:
        if word == "cancel":
            self._at_what_is_open(Fault.CANCEL)
        if where not in self.machine.index:
            return
        place = self._open(where)
        if word == "chooser_failed":
            self.faults[site_at(where), 0] = Fault.REJECT
        elif word in _ANSWERS and self.state[where] in _CALLED:
            self.faults[place] = _ANSWERS[word]
            if word == "transient":
                self.given_up[where].append(place[1])
        elif word in {"unknown", "transient"}:
            undone = place[0] in self.landed
            self.faults.setdefault(place, Fault.LOST_REPLY if undone else Fault.LOST_REQUEST)
            self.given_up[where].append(place[1])

    def _silent(self, word: str, where: str) -> None:
        if word == "crash":
            self._at_what_is_open(Fault.CRASH_BEFORE)
        elif word == "lands":
            self._lands(where)
        elif word == "lands_again":
            self.faults[self._last(site_at(where))] = Fault.DUPLICATE
        elif word == "undone":
            self.landed.add(site_at(where, "compensation"))

    def _lands(self, where: str) -> None:
        if self.state[where] in _CALLED:
            self.landed.add(site_at(where))
        elif self.given_up[where]:
            # Nobody waits for it any more: that attempt lands when all is over.
            self.faults[site_at(where), self.given_up[where][-1]] = Fault.LATE
        else:
            self.faults[self._last(site_at(where))] = Fault.DUPLICATE

    def _at_what_is_open(self, fault: Fault) -> None:
        for path in self.machine.index:
            if self.state[path] in _CALLED | _UNDOING:
                self.faults[self._open(path)] = fault
                return
