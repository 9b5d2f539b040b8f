"""What a run under faults is made of: a saga made ready, the places it comes to, its owners."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

import attrs
from typing_extensions import override

from saga_fsm.codec import Scribe
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import Layout, lay_out
from saga_fsm.errors import UnstorableValueError
from saga_fsm.machine import Codes, Machine, State
from saga_fsm.runner.commands import Alert
from saga_fsm.runner.facts import KINDS
from saga_fsm.runner.loop import is_awaitable
from saga_fsm.runner.shell import Shell
from saga_fsm.testing.effects import successors
from saga_fsm.testing.plan import Fault, asked_at


__all__ = ["Answers", "Kindred", "Loop", "Owner", "Stage", "Visit", "Watch"]

Kindred: TypeAlias = Literal[
    "action", "readonly", "compensation", "query", "ask", "answer", "operator", "journal", "recover"
]
Answers: TypeAlias = Mapping[Any, Callable[[Any], Any]]


@attrs.frozen
class Stage:
    """A saga made ready to be run many times."""

    saga: Saga[Any, Any, Any]
    layout: Layout
    machine: Machine
    after: Mapping[str, list[str]]
    _units: dict[str, tuple[str, int]] = attrs.field(factory=dict, init=False, repr=False)
    _owed: dict[Codes, frozenset[tuple[str, str]]] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _typed: dict[str, bool] = attrs.field(factory=dict, init=False, repr=False)
    _scribes: list[Scribe] = attrs.field(factory=list, init=False, repr=False)

    @classmethod
    def of(cls, saga: Saga[Any, Any, Any]) -> Stage:
        """Lay out and compile."""
        layout = lay_out(saga)
        return cls(saga, layout, compile_saga(saga), successors(layout))

    def unit(self, site: str) -> tuple[str, int]:
        """Whose place it is, and which of the machine's automata; 0, the saga's own, if none."""
        known = self._units.get(site)
        if known is None:
            index = self.machine.index
            path, _ = asked_at(site)
            known = self._units[site] = path, index.get(path, 0)
        return known

    def owes(self, state: State, kind: str, path: str) -> bool:
        """Whether the machine asks for a call of this kind in this state."""
        owed = self._owed.get(state.codes)
        if owed is None:
            owed = self._owed[state.codes] = frozenset(
                (KINDS[type(effect)], getattr(effect, "target", ""))
                for effect in self.machine.owed(state)
                if type(effect) in KINDS
            )
        return (kind, path) in owed

    @property
    def scribe(self) -> Scribe:
        """Knows of what type each result is."""
        if not self._scribes:
            self._scribes.append(Scribe(self.saga))
        return self._scribes[0]

    def typed(self, path: str) -> bool:
        """Whether a step's annotation says what it answers, and that is not None."""
        known = self._typed.get(path)
        if known is None:
            try:
                self.scribe.admit("call", path, None)
                known = False
            except UnstorableValueError:
                known = True
            self._typed[path] = known
        return known


@attrs.frozen
class Visit:
    """
    A place where something may go wrong, when a run comes to it.

    Args:
        site: as plans name it.
        number: how often the run was here before.
        kind: what is asked there.
        key: machine and world at that moment; with an equal key the same faults lead to the same.
        near: the part of the key that is closest: the local states of the unit and of the saga.
        company: whether anything else is in flight or due, which a slow answer could let pass.
        landed: whether the effect that is asked for has landed before.
        spoilable: whether a bad value can be told from a good one.
        words: what an operator may truly say here.
        meanwhile: what a plan has injected already around this very call.
        whole: all that decides what follows; None where the world cannot be compared, or nobody
            has asked.
    """

    site: str
    number: int
    kind: Kindred
    key: Any
    near: Any
    company: bool = False
    landed: bool = False
    spoilable: bool = False
    words: tuple[Fault, ...] = ()
    meanwhile: Fault | None = None
    whole: Hashable | None = None

    @property
    def place(self) -> Hashable:
        """With an equal one the same faults fit, and lead to the same."""
        fits = self.number == 0, self.company, self.landed, self.spoilable, self.words
        return self.site, self.key, self.meanwhile, fits


class Watch(Protocol):
    """Asked at each place where something may go wrong; what it answers goes wrong."""

    def __call__(self, site: str, number: int, look: Callable[[], Visit], /) -> Iterable[Fault]:
        """
        Say what goes wrong: at a call what happens meanwhile, and how it is answered.

        Args:
            site: as plans name it.
            number: how often the run was here before.
            look: gives all of the place, which most do not want to know.
        """
        ...


class Owner(Shell):
    """An orchestrator of a simulated run: what it would tell people is in the outcome."""

    @override
    def alert(self, command: Alert) -> None:
        """Tell nobody: thousands of runs are stuck on purpose."""


class Loop:
    """The event loop for async actions, made when one is called."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def value(self, given: Any) -> Any:
        """Give a value, or what an awaitable comes to."""
        return self.wait_for(given) if is_awaitable(given) else given

    def wait_for(self, value: Awaitable[Any]) -> Any:
        """Run until it is there."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(_await(value))

    def begin(self, value: Awaitable[Any]) -> asyncio.Future[Any]:
        """Run to where it waits for the first time; it goes on whenever the loop runs."""
        begun: asyncio.Future[Any] = self.wait_for(_begun(value))
        return begun

    def close(self) -> None:
        """End the loop, if there was one."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None


async def _begun(value: Awaitable[Any]) -> asyncio.Future[Any]:
    future = asyncio.ensure_future(value)
    await asyncio.sleep(0)
    return future


async def _await(value: Awaitable[Any]) -> Any:
    return await value
