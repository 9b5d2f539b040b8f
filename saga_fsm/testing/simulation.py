"""
One run under faults, one thing at a time: the deterministic sibling of the two shells.

It reads the same driver and the same journal as ``run`` and ``arun``, but nothing happens by
itself: whoever holds a simulation says which call is answered next and what goes wrong with it.
Time passes only when nothing else can. A crash drops the driver and recovers another from the
journal; the one that was superseded may still make its calls, and must not be able to write.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

import attrs
from typing_extensions import override

from saga_fsm.compiler import compile_saga
from saga_fsm.definition import PENDING, Context, Kind, Rejected, Saga, Transient
from saga_fsm.definition.layout import Layout, lay_out
from saga_fsm.errors import ConcurrentAppendError
from saga_fsm.machine import Machine, Status
from saga_fsm.runner.commands import Alert, Invoke
from saga_fsm.runner.loop import is_awaitable
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.shell import Shell, driver_of
from saga_fsm.testing.clock import VirtualClock
from saga_fsm.testing.effects import EffectLog, What, successors
from saga_fsm.testing.journal import AppendLostError, FragileJournal
from saga_fsm.testing.plan import OPERATOR, Fault


Kindred: TypeAlias = Literal[
    "action", "readonly", "compensation", "query", "ask", "answer", "operator", "journal", "recover"
]
Answers: TypeAlias = Mapping[Any, Callable[[Any], Any]]

RUN_ID = "run"
# More things than so many, and so many for each row, do not happen in one run.
_PATIENCE, _PATIENCE_FOR_A_ROW = 500, 10
_YEAR = 365.0 * 24 * 3600
_WHATS: dict[str, What] = {"call": "action", "compensate": "compensation", "query": "query"}
_SUFFIX = {"call": "", "compensate": "/compensation", "query": "/query"}
# What code raises when it is wrong, whatever the world is like.
_MISTAKES = (TypeError, AttributeError, LookupError, NameError, AssertionError, ArithmeticError)


class _InterruptedAgain(BaseException):
    """What interrupts a run; the second one stops its owner at once, and another recovers."""


@attrs.frozen
class Stage:
    """A saga made ready to be run many times."""

    saga: Saga[Any, Any, Any]
    layout: Layout
    machine: Machine
    after: Mapping[str, list[str]]

    @classmethod
    def of(cls, saga: Saga[Any, Any, Any]) -> Stage:
        """Lay out and compile."""
        layout = lay_out(saga)
        return cls(saga, layout, compile_saga(saga), successors(layout))


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
        words: what an operator may truly say here.
    """

    site: str
    number: int
    kind: Kindred
    key: Any
    near: Any
    company: bool = False
    landed: bool = False
    words: tuple[Fault, ...] = ()


class Owner(Shell):
    """An orchestrator of a simulated run: what it would tell people is in the outcome."""

    @override
    def alert(self, command: Alert) -> None:
        """Tell nobody: thousands of runs are stuck on purpose."""


class Loop:
    """The event loop for async actions, made when one is called."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def wait_for(self, value: Awaitable[Any]) -> Any:
        """Run until it is there."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(_await(value))

    def close(self) -> None:
        """End the loop, if there was one."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None


class Simulation:
    """
    A run that does nothing by itself.

    Args:
        stage: the saga, made ready.
        world: given to every step as ``ctx.services``.
        input: the saga's input.
        loop: for async actions; whoever gives it closes it.
        answers: outcomes of pending steps, by step.
        watch: asked at each place where something may go wrong; what it answers goes wrong.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts of one run
        self,
        stage: Stage,
        *,
        world: Any,
        input: Any,  # noqa: A002 - the interface's word
        loop: Loop,
        answers: Answers | None = None,
        watch: Callable[[Visit], Fault | None] = lambda _: None,
    ) -> None:
        self.stage = stage
        self.world = world
        self.input = input
        self.loop = loop
        self.patience = _PATIENCE + _PATIENCE_FOR_A_ROW * len(stage.machine.rows)
        self.answers = dict(answers or {})
        self.watch = watch
        self.log = EffectLog(stage.layout, stage.after)
        self.clock = VirtualClock()
        self.journal = FragileJournal(self._append_fault)
        #: Mistakes: of the user's code where nothing was injected, of ours where rules were broken.
        self.mistakes: list[str] = []
        #: Actions and undos that somebody has sent, whether or not they arrived.
        self.made: list[tuple[Owner, Invoke]] = []
        self._counts: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._late: list[tuple[Owner, Invoke]] = []
        self._slow: list[tuple[Invoke, Any, BaseException | None]] = []
        self.owner = self._new_owner()

    # ------------------------------------------------------------------ what can happen next

    @property
    def calls(self) -> list[Invoke]:
        """The calls in flight that have not been made yet, oldest first."""
        return self.owner.calls

    @property
    def resting(self) -> bool:
        """Whether the run rests; late calls may still land."""
        return self.owner.driver.resting

    @property
    def late(self) -> bool:
        """Whether calls of before are still on their way."""
        return bool(self._late)

    def begin(self) -> None:
        """Start the run."""
        self._guarded(self.owner.open)

    def once(self) -> None:
        """Let the next thing happen: a call is made, a slow answer comes, or a timer rings."""
        if self.calls:
            self.make(self.calls[0])
        elif self._slow:
            invoke, value, error = self._slow.pop(0)
            self._guarded(lambda: self.owner.settle(invoke.leg, value, error))
        else:
            self._guarded(self._ring)

    def finish(self) -> None:
        """Let things happen until the run rests and nothing is on its way; but not for ever."""
        for _ in range(self.patience):
            if not self.resting:
                self.once()
            elif self.late:
                self.land_late()
            else:
                return

    def make(self, invoke: Invoke) -> None:
        """Make one call of those in flight, with what ``watch`` says goes wrong."""
        landed = invoke.leg[0] == "call" and self.log.landed(invoke.leg[1])
        site, kind = self._place(invoke)
        fault = self._visit(site, kind, company=self._company(), landed=landed)
        self.owner.calls.remove(invoke)
        if kind in {"action", "compensation"}:
            self.made.append((self.owner, invoke))
        self._guarded(lambda: self._apply(invoke, fault))

    def land_late(self) -> None:
        """Let the oldest of the calls that are still on their way arrive."""
        self._land(*self._late.pop(0))

    def again(self, which: int) -> None:
        """Let a copy of a call that was made before arrive, by its number in ``made``."""
        self._land(*self.made[which])

    def _land(self, owner: Owner, invoke: Invoke) -> None:
        value, error = self._perform(invoke, injected=True)
        if owner is self.owner:
            self._guarded(lambda: owner.settle(invoke.leg, value, error))
            return
        before = self.journal.length
        try:
            owner.settle(invoke.leg, value, error)
        except (ConcurrentAppendError, AppendLostError):
            return
        if self.journal.length != before:
            self.mistakes.append(f"a superseded owner wrote what came of {_site(invoke)}")

    def cancel(self) -> None:
        """Cancel the run, as a user does."""
        self._guarded(lambda: self._hear("cancel"))

    def crash(self) -> None:
        """Let the orchestrator die and another recover its run."""
        self._restart()

    def words(self, path: str) -> tuple[Fault, ...]:
        """What an operator may say about a step now, and truly."""
        machine, state = self.stage.machine, self.owner.driver.facts.state
        events = {word: _event(path, word) for word in OPERATOR}
        allowed = [
            word
            for word, event in events.items()
            if machine.knows(event) and machine.step(state, event).ignored is None
        ]
        return tuple(
            word for word in allowed if word is not Fault.NOT_LANDED or not self.log.stands(path)
        )

    def tell(self, path: str, word: Fault) -> bool:
        """Let an operator decide about a step; False when that would not be true."""
        if word not in self.words(path) or not self._made_true(path, word):
            return False
        data = {"by": "operator", "note": "a fault plan"}
        now, event = self.clock.now(), _event(path, word)
        self._guarded(lambda: self.owner.take(self.owner.driver.ordered(event, now, data)))
        return True

    def outcome(self) -> Outcome[Any]:
        """How the run stands."""
        return self.owner.driver.outcome()

    def stuck_on(self) -> dict[str, str]:
        """What an operator may decide about."""
        driver = self.owner.driver
        state = driver.facts.state
        return self.stage.machine.unresolved(state) if state.status is Status.STUCK else {}

    def key(self) -> Any:
        """Machine and participants, as one value."""
        return self.owner.driver.facts.state.codes, self.log.marks

    # ------------------------------------------------------------------ owners

    def _new_owner(self) -> Owner:
        driver = driver_of(
            self.stage.saga,
            input=self.input,
            services=self.world,
            journal=self.journal,
            run_id=RUN_ID,
            random=random.Random(0),  # noqa: S311 - luck that repeats
            answers=self.answers,
        )
        return Owner(driver, self.journal, self.clock, None)

    def _restart(self) -> None:
        """Recover by a new owner; that one may die as well."""
        self._slow.clear()
        while True:
            self.owner = self._new_owner()
            try:
                self.owner.open()
            except AppendLostError:
                continue
            if self._visit("recover", "recover") is None:
                return

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do something; an append that is lost kills the owner, and another recovers."""
        try:
            act()
        except (AppendLostError, _InterruptedAgain):
            self._restart()

    def _ring(self) -> None:
        seconds = self.owner.until_due()
        self.clock.wait(None, seconds, busy=False)
        self.owner.ring()

    def _hear(self, event: str) -> None:
        self.owner.take(self.owner.driver.heard(event, self.clock.now()))

    def _append_fault(self) -> Fault | None:
        return self._visit("journal", "journal")

    def _visit(self, site: str, kind: Kindred, **more: Any) -> Fault | None:
        number = self._counts[site]
        self._counts[site] = number + 1
        return self.watch(Visit(site, number, kind, self.key(), self._near(site), **more))

    def _near(self, site: str) -> tuple[str, str, bool]:
        state, index = self.owner.driver.facts.state, self.stage.machine.index
        unit = site if site in index else site.rpartition("/")[0]
        local = state[unit] if unit in index else ""
        return state["@saga"], local, self.log.stands(unit)

    def ask_operator(self, path: str) -> Fault | None:
        """What the plan lets an operator say about a step on which the run is stuck."""
        return self._visit(f"{path}/operator", "operator", words=self.words(path))

    def _company(self) -> bool:
        owner = self.owner
        return len(owner.calls) + len(self._slow) > 1 or any(
            key[0] != "deadline" for key in owner.timers
        )

    def _place(self, invoke: Invoke) -> tuple[str, Kindred]:
        kind, path, _ = invoke.leg
        if kind in {"decide", "expand"}:
            return path, "ask"
        if kind == "call":
            if invoke.function is self.owner.driver.calls.answers.get(path):
                return f"{path}/answer", "answer"
            readonly = self.stage.layout.steps[path].kind is Kind.READONLY
            return path, "readonly" if readonly else "action"
        return _site(invoke), "query" if kind == "query" else "compensation"

    # ------------------------------------------------------------------ what goes wrong

    def _apply(self, invoke: Invoke, fault: Fault | None) -> None:
        leg = invoke.leg
        if fault in {Fault.REJECT, Fault.TRANSIENT, Fault.LOST_REQUEST, Fault.LATE}:
            self._not_made(invoke, fault)
            return
        if fault is Fault.CRASH_BEFORE:
            self._restart()
            return
        if fault is Fault.SECOND_OWNER:
            self._late.extend((self.owner, one) for one in (invoke, *self.owner.calls))
            self._restart()
            return
        if fault is Fault.CANCEL:
            self._hear("cancel")
        elif fault is Fault.CLOCK_JUMP:
            self.clock.wait(None, _YEAR, busy=False)
            self.owner.ring()
        value, error = self._perform(invoke, injected=fault is not None)
        if fault is Fault.CRASH_AFTER:
            self._restart()
            return
        if fault is Fault.SLOW:
            self._slow.append((invoke, value, error))
            if not self.owner.calls:
                self._ring_if_due()
            return
        if fault is Fault.DUPLICATE:
            self._perform(invoke, injected=True)
            self._late.append((self.owner, invoke))
        elif fault is Fault.LOST_REPLY:
            error = TimeoutError("injected: the reply was lost")
        elif fault is Fault.BASE_EXCEPTION:
            error = _InterruptedAgain("injected")
        elif fault is Fault.BAD_VALUE and error is None:
            value = None
        self.owner.settle(leg, value, error)

    def _ring_if_due(self) -> None:
        if any(key[0] != "deadline" for key in self.owner.timers):
            self._ring()

    def _not_made(self, invoke: Invoke, fault: Fault | None) -> None:
        """Nothing reaches the participant now."""
        kind, path, _ = invoke.leg
        error: BaseException = TimeoutError("injected: no answer")
        if fault is Fault.LATE:
            self._late.append((self.owner, invoke))
        elif fault is Fault.TRANSIENT:
            error = Transient("injected: fails for now")
        elif fault is Fault.REJECT:
            error = Rejected("injected: refused")
            placed = self.stage.layout.steps.get(path)
            if kind == "call" and placed is not None and placed.contract.sticky:
                self._refused.add(path)
        self.owner.settle(invoke.leg, None, error)

    def _perform(self, invoke: Invoke, *, injected: bool) -> tuple[Any, BaseException | None]:
        """Let a call reach its participant."""
        kind, path, _ = invoke.leg
        if kind == "call" and path in self._refused:
            return None, Rejected("refused before, and remembered")
        value, error = self._call(invoke)
        what = _WHATS.get(kind)
        # What is pending has not answered: its answer is what the log sees.
        if what is not None and value is not PENDING:
            self.log.record(what, path, error)
        if isinstance(error, _MISTAKES) and not injected:
            self.mistakes.append(
                f"{_site(invoke)} raised {type(error).__name__} by itself: {error}"
            )
        return value, error

    def _call(self, invoke: Invoke) -> tuple[Any, BaseException | None]:
        try:
            value = invoke.function(*invoke.arguments)
            if is_awaitable(value):
                value = self.loop.wait_for(value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the driver says what it means
            return None, error
        return value, None

    def _made_true(self, path: str, word: Fault) -> bool:
        """An operator does by hand what he says; False when it is not so and he cannot."""
        if word is Fault.RETRY:
            return True
        if word is Fault.NOT_LANDED:
            self._refused.add(path)
            return True
        # By hand, and not by the participant that may have refused.
        self._refused.discard(path)
        kind = "call" if word is Fault.DONE else "compensate"
        _, error = self._perform(self._by_hand(kind, path), injected=True)
        return error is None

    def _by_hand(self, kind: str, path: str) -> Invoke:
        driver = self.owner.driver
        facts, scope = driver.facts, self.stage.layout.scopes.get(path)
        undoing = kind == "compensate"
        if scope is not None:
            item, index = facts.copy(scope.copies)
            context = Context._of(facts.view(path), path, 1, undoing, item, index)  # noqa: SLF001 - one library
            return Invoke((kind, path, 0), scope.compensate or _nothing, (context, {}))
        placed = self.stage.layout.steps[path]
        item, index = facts.copy(placed.copies)
        context = Context._of(facts.view(placed.scope), path, 1, undoing, item, index)  # noqa: SLF001 - one library
        if undoing:
            function: Any = placed.step.compensate
            return Invoke((kind, path, 0), function, (context, facts.results.get(path)))
        return Invoke((kind, path, 0), placed.step.action, (context,))


def _event(path: str, word: Fault) -> str:
    return f"retry({path})" if word is Fault.RETRY else f"resolve({path},{word})"


def _nothing(*_: Any) -> None:
    """Stand in for an undo that does not exist."""


def _site(invoke: Invoke) -> str:
    kind, path, _ = invoke.leg
    return path + _SUFFIX.get(kind, "")


async def _await(value: Awaitable[Any]) -> Any:
    return await value
