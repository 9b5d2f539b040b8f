"""The other side of a run under faults: the calls that reach the world, and an operator's hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from saga_fsm.definition import PENDING, Context, Rejected
from saga_fsm.definition.layout import Layout
from saga_fsm.runner.commands import Invoke
from saga_fsm.runner.driver import Driver, outcome_of
from saga_fsm.runner.loop import is_async
from saga_fsm.testing.effects import EffectLog, What
from saga_fsm.testing.plan import Fault, site_at
from saga_fsm.testing.stage import Loop, Stage


__all__ = ["Later", "Participants", "site_of"]

#: Waits for an answer, and gives the value or the error.
Later: TypeAlias = Callable[[], tuple[Any, BaseException | None]]

_WHATS: dict[str, What] = {"call": "action", "compensate": "compensation", "query": "query"}
_FUNCTION = {"compensate": "compensation", "query": "query"}
# What code raises when it is wrong, whatever the world is like.
_MISTAKES = (TypeError, AttributeError, LookupError, NameError, AssertionError, ArithmeticError)


class Participants:
    """
    Whoever is called: the user's own functions, with a log of what reached them.

    Args:
        stage: the saga, made ready.
        loop: for async actions.
    """

    def __init__(self, stage: Stage, loop: Loop) -> None:
        self.log = EffectLog(stage.layout, stage.after)
        #: Mistakes of the user's code where nothing was injected.
        self.mistakes: list[str] = []
        self._stage = stage
        self._layout: Layout = stage.layout
        self._loop = loop
        self._refused: set[str] = set()
        self._spoilt: set[tuple[str, str]] = set()

    def perform(
        self, invoke: Invoke, *, injected: bool, landed: Callable[[], bool] = lambda: False
    ) -> tuple[Any, BaseException | None]:
        """
        Let a call reach its participant; what it answers, or raises.

        Args:
            invoke: the call.
            injected: something goes wrong with it: no mistake of the user's code is looked for.
            landed: asked afterwards, whether it has had its effect whatever the function raised.
        """
        kind, path, _ = invoke.leg
        if kind == "call" and path in self._refused:
            return None, Rejected("refused before, and remembered")
        value, error = self._call(invoke)
        self._note(invoke, value, None if landed() else error, error, injected=injected)
        return value, error

    def _note(
        self,
        invoke: Invoke,
        value: Any,
        seen: BaseException | None,
        error: BaseException | None,
        *,
        injected: bool,
    ) -> None:
        """Write down what was done, as it was ``seen``, and what its caller was told."""
        kind, path, _ = invoke.leg
        what = _WHATS.get(kind)
        # What is pending has not answered: its answer is what the log sees.
        if what is not None and value is not PENDING:
            self.log.record(what, path, seen)
        if kind == "call" and error is not None and not self.surely_not(path, error):
            self.log.doubt(path)
        if error is not None and not injected and self._mistaken(kind, path, error):
            self.mistakes.append(
                f"{site_of(invoke)} raised {type(error).__name__} by itself: {error}"
            )

    def begun(self, invoke: Invoke) -> Later:
        """
        Let a call begin; give what waits for its answer.

        What is async goes on beside whatever else is called, as far as its awaits let others run;
        what is not is over when it has begun.
        """
        kind, path, _ = invoke.leg
        if not is_async(invoke.function) or (kind == "call" and path in self._refused):
            answer = self.perform(invoke, injected=True)
            return lambda: answer
        task = self._loop.begin(self._going_on(invoke))
        return lambda: self._loop.value(task)

    async def _going_on(self, invoke: Invoke) -> tuple[Any, BaseException | None]:
        """Call, and note it the moment it is over: others are called in between."""
        value: Any = None
        error: BaseException | None = None
        try:
            value = await invoke.function(*invoke.arguments)
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - as in ``_call``
            error = raised
        self._note(invoke, value, error, error, injected=True)
        return value, error

    def memory(self) -> Any:
        """What decides about later calls, beside the world itself, as a value."""
        return self.log.marks, sorted(self._refused), sorted(self._spoilt)

    def surely_not(self, path: str, error: BaseException) -> bool:
        """Whether an exception says that an action did not land, and never will under its key."""
        placed = self._layout.steps.get(path)
        sticky = placed is not None and placed.contract.sticky
        return sticky and outcome_of("call", placed, error) == "rejected"

    def refuse(self, invoke: Invoke) -> None:
        """A sticky participant remembers a rejection that was put into its mouth."""
        kind, path, _ = invoke.leg
        placed = self._layout.steps.get(path)
        if kind == "call" and placed is not None and placed.contract.sticky:
            self._refused.add(path)

    def refused(self, invoke: Invoke, error: BaseException) -> None:
        """The same, where the answer says so."""
        kind, path, _ = invoke.leg
        if kind == "call" and self.surely_not(path, error):
            self._refused.add(path)

    def admit(self, kind: str, path: str, value: Any) -> None:
        """Refuse the answer that a plan has spoilt, as whoever stores it would (R2)."""
        if (kind, path) in self._spoilt:
            self._spoilt.discard((kind, path))
            self._stage.scribe.admit(kind, path, value)

    def spoil(self, invoke: Invoke) -> None:
        """Let an answer be None, which its annotation does not allow."""
        self._spoilt.add(invoke.leg[:2])

    def made_true(self, driver: Driver, path: str, word: Fault) -> bool:
        """An operator does by hand what he says; False when it is not so and he cannot."""
        if word is Fault.RETRY:
            return True
        self.log.ordered(path)
        if word is Fault.NOT_LANDED:
            self._refused.add(path)
            return True
        # By hand, and not by the participant that may have refused.
        self._refused.discard(path)
        kind = "call" if word is Fault.DONE else "compensate"
        _, error = self.perform(self._by_hand(driver, kind, path), injected=True)
        return error is None

    def _mistaken(self, kind: str, path: str, error: BaseException) -> bool:
        """Whether an exception tells of wrong code: not, where the step declares what it means."""
        placed = self._layout.steps.get(path)
        return isinstance(error, _MISTAKES) and outcome_of(kind, placed, error) == "unknown"

    def _call(self, invoke: Invoke) -> tuple[Any, BaseException | None]:
        try:
            value = self._loop.value(invoke.function(*invoke.arguments))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the driver says what it means
            # What else there is ends the whole search: Ctrl-C, ``pytest.fail``, Hypothesis' own.
            return None, error
        return value, None

    def _by_hand(self, driver: Driver, kind: str, path: str) -> Invoke:
        facts, scope = driver.facts, self._layout.scopes.get(path)
        undoing = kind == "compensate"
        if scope is not None:
            item, index = facts.copy(scope.copies)
            context = Context._of(facts.view(path), path, 1, undoing, item, index)  # noqa: SLF001 - one library
            return Invoke((kind, path, 0), scope.compensate or _nothing, (context, {}))
        placed = self._layout.steps[path]
        item, index = facts.copy(placed.copies)
        context = Context._of(facts.view(placed.scope), path, 1, undoing, item, index)  # noqa: SLF001 - one library
        if undoing:
            function: Any = placed.step.compensate
            return Invoke((kind, path, 0), function, (context, facts.results.get(path)))
        return Invoke((kind, path, 0), placed.step.action, (context,))


def _nothing(*_: Any) -> None:
    """Stand in for an undo that does not exist."""


def site_of(invoke: Invoke) -> str:
    """The place of a call, as plans name it."""
    kind, path, _ = invoke.leg
    return site_at(path, _FUNCTION.get(kind, ""))
