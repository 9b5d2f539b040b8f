"""What a ``@saga_faults`` test does when it is called: a search, or the replay of one plan."""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from saga_fsm.testing.attempt import attempt
from saga_fsm.testing.explore import replay
from saga_fsm.testing.oracles import Consistent, oracle_of
from saga_fsm.testing.plan import FaultPlan
from saga_fsm.testing.results import Exploration, Failure, Replay
from saga_fsm.testing.stage import Answers
from saga_fsm.testing.terms import Efforts, terms


__all__ = ["Attack", "FailureTestError"]

#: What a test function is given by us; its other parameters are fixtures.
GIVEN: Final = ("world", "outcome", "input")
_MISSED: Final = 10
_DETAIL: Final = 12
_WIDTH: Final = 200


class FailureTestError(AssertionError):
    """
    A failure test that found something, tested nothing, or took too few rows.

    Args:
        message: all of it, in words.
        exploration: what was found; None where one plan was replayed.
    """

    def __init__(self, message: str, exploration: Exploration | None = None) -> None:
        super().__init__(message)
        self.exploration = exploration


class _Beside(BaseException):
    """Carries what is no verdict on a plan (a skip, say) out of the search."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@attrs.define
class Attack:
    """
    One saga, its world and a test function that is asked after every plan.

    Args:
        saga: the saga, or a function from the world to it.
        world: a class or factory, an object with ``reset()``, or the name of a fixture.
        input: the saga's input.
        consistent: the oracle that is asked before the test function.
        answers: outcomes of pending steps, by step.
        said: how much the test says is to be searched.
        test: the function.
    """

    saga: Any
    world: Any
    input: Any
    consistent: Consistent | None
    answers: Answers | None
    said: Efforts
    test: Callable[..., object]
    _asks: frozenset[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._asks = frozenset(inspect.signature(self.test).parameters) & set(GIVEN)

    def on(self, world: Any, fixtures: Mapping[str, Any], given: Any) -> None:
        """
        Attack, or replay what the session wants replayed.

        Args:
            world: as ``self.world``, or what the fixture of that name gives.
            fixtures: for the test function, by name.
            given: the saga's input.

        Raises:
            FailureTestError: a plan fails, nothing was tested, or too little was.
        """
        __tracebackhide__ = True
        plan = terms().plan
        if plan is None:
            found = self.search(world, fixtures, given)
            details = [
                _detail(self.once(failure.plan, world, fixtures, given)[1])
                for failure in found.failures
            ]
            self.judge(found, given, details)
        else:
            self._again(plan, world, fixtures, given)

    def search(self, world: Any, fixtures: Mapping[str, Any], given: Any) -> Exploration:
        """
        Search, and let the session hear of it, whatever has ended it.

        Raises:
            KeyboardInterrupt: the user has ended it.
        """
        asked = _Asked(self, fixtures, given)
        wanted = terms().of(self.said)
        try:
            found, interrupt = attempt(
                self.saga,
                wanted,
                world=world,
                input=given,
                consistent=asked,
                answers=self.answers,
            )
        except _Beside as beside:
            raise beside.error from None
        if found is not None:
            terms().heard(found)
        if interrupt is not None:
            raise interrupt
        assert found is not None  # noqa: S101 - not interrupted, so one plan at least was run
        return found

    def judge(self, found: Exploration, given: Any, details: Sequence[list[str]] = ()) -> None:
        """
        Hold what was found against what the test asks.

        Args:
            found: what was found.
            given: the saga's input.
            details: for each failure the whole text of the test function's own error.

        Raises:
            FailureTestError: a plan fails, nothing was tested, or too little was.
        """
        __tracebackhide__ = True
        if not found.ok:
            lines = [str(found)]
            for failure, detail in zip(found.failures, details, strict=False):
                lines += ["", self.replays(failure.plan, given), *detail]
            raise FailureTestError("\n".join(lines), found)
        least = terms().of(self.said).coverage
        if least is not None and found.coverage < least:
            raise FailureTestError(_too_few(found, least), found)

    def once(
        self, plan: FaultPlan, world: Any, fixtures: Mapping[str, Any], given: Any
    ) -> tuple[Replay, Exception | None]:
        """Run one plan; give the test function's own error too, if it has raised one."""
        asked = _Asked(self, fixtures, given)
        try:
            done = replay(
                self.saga, plan, world=world, input=given, consistent=asked, answers=self.answers
            )
        except _Beside as beside:
            raise beside.error from None
        return done, asked.error

    def _again(self, plan: FaultPlan, world: Any, fixtures: Mapping[str, Any], given: Any) -> None:
        __tracebackhide__ = True
        done, error = self.once(plan, world, fixtures, given)
        failure = Failure(done.plan, done.outcome, done.reason, done.path)
        terms().replayed(failure)
        if done.unfired:
            unfired = ", ".join(map(str, done.unfired))
            raise FailureTestError(
                f"never fired: {unfired}: its call did not come, or it could not be true\n"
                f"{done.path}"
            )
        if done.consistent:
            return
        if error is not None:
            # The user's own, so that a debugger stops in the test function.
            error.add_note(str(failure))
            raise error
        raise FailureTestError(str(failure))

    def replays(self, plan: FaultPlan, given: Any) -> str:
        """Give the line of Python that runs a plan again."""
        world = self.world if isinstance(self.world, str) else self._named(self.world)
        parts = [self._named(self.saga), repr(str(plan))]
        parts += [] if self.world is None else [f"world={world}"]
        parts += [] if given is None else [f"input={self._named(given)}"]
        return f"replay({', '.join(parts)})"

    def _named(self, value: Any) -> str:
        """What the test's module calls it, or else its own word."""
        around = getattr(inspect.unwrap(self.test), "__globals__", {})
        own = next((name for name, other in around.items() if other is value), None)
        return own or str(getattr(value, "__qualname__", None) or _word(value))


def _word(value: Any) -> str:
    return str(value.name) if hasattr(value, "version") and hasattr(value, "name") else repr(value)


def _too_few(found: Exploration, least: float) -> str:
    rows = f"{found.coverage:.1%} of the rows that can be taken were"
    head = f"{found.saga}: {rows}, and {least:.1%} is asked"
    cut = "" if found.complete else " The tour was cut short: raise max_runs."
    remedy = f"  Give another input, or more faults.{cut}"
    return "\n".join([head, *_listed("Never taken", found.missed), remedy])


def _listed(head: str, lines: tuple[str, ...] | list[str]) -> list[str]:
    more = len(lines) - _MISSED
    told = [f"    {line}" for line in lines[:_MISSED]]
    return [f"  {head}:", *told, *([f"    and {more} more"] if more > 0 else [])]


class _Asked:
    """The oracle of the search: the world's own or the one given, then the test function."""

    def __init__(self, attack: Attack, fixtures: Mapping[str, Any], given: Any) -> None:
        self.__name__ = getattr(attack.test, "__name__", "test")
        self.error: Exception | None = None
        self._attack = attack
        self._fixtures = dict(fixtures)
        self._given = given

    def __call__(self, world: Any, outcome: Any) -> Any:
        self.error = None
        own = oracle_of(world, self._attack.consistent)
        agrees = True if own is None else own(world, outcome)
        if inspect.isawaitable(agrees):
            return self._later(own, agrees, world, outcome)
        _agree(own, agrees, outcome)
        answer = self._guarded(lambda: self._test(world, outcome))
        return self._awaited(answer) if inspect.isawaitable(answer) else True

    def _test(self, world: Any, outcome: Any) -> object:
        ours = {"world": world, "outcome": outcome, "input": self._given}
        asks = self._attack._asks  # noqa: SLF001 - the same thing in two classes
        return self._attack.test(
            **self._fixtures, **{name: value for name, value in ours.items() if name in asks}
        )

    async def _later(self, own: Any, agrees: Any, world: Any, outcome: Any) -> bool:
        _agree(own, await agrees, outcome)
        answer = self._guarded(lambda: self._test(world, outcome))
        return await self._awaited(answer) if inspect.isawaitable(answer) else True

    async def _awaited(self, answer: Any) -> bool:
        try:
            await answer
        except BaseException as error:  # noqa: BLE001 - sorted there
            raise self._sorted(error) from None
        return True

    def _guarded(self, test: Callable[[], object]) -> object:
        try:
            return test()
        except BaseException as error:  # noqa: BLE001 - sorted there
            raise self._sorted(error) from None

    def _sorted(self, error: BaseException) -> BaseException:
        """Tell what is a verdict on the plan from what is not: a skip, an input not wanted."""
        if isinstance(error, _beside()):
            return _Beside(error)
        if type(error) is _failed():
            # ``pytest.fail`` is no ``Exception``, and a verdict all the same.
            error = AssertionError(str(error)).with_traceback(error.__traceback__)
        if isinstance(error, Exception):
            self.error = error
        return _without_values(error) if isinstance(error, AssertionError) else error


def _agree(own: Any, agrees: object, outcome: Any) -> None:
    """
    Say whose oracle it was, where it was not the test function.

    Raises:
        AssertionError: it does not agree.
    """
    if not agrees:
        name = getattr(own, "__name__", "consistent")
        raise AssertionError(f"{name} does not agree with '{outcome.status.value}'")


def _without_values(error: AssertionError) -> AssertionError:
    """
    The assertion without the values that pytest writes into its text.

    They may differ from plan to plan, and each text would be another kind of failure.
    """
    text = str(error)
    first = text.partition("\n")[0]
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not (first.startswith("assert ") or not first):
        return AssertionError(first)
    code = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno).strip()
    return AssertionError(f"{code or first} (line {trace.tb_lineno})")


def _detail(error: Exception | None) -> list[str]:
    """The text of an error, cut where it is a page."""
    lines = str(error or "").splitlines()
    more = len(lines) - _DETAIL
    told = [f"  {_shortened(line)}" for line in lines[:_DETAIL]]
    return [*told, *([f"  and {more} more lines"] if more > 0 else [])]


def _shortened(line: str) -> str:
    """Give the line, or both ends of it."""
    if len(line) <= _WIDTH:
        return line
    return f"{line[: _WIDTH // 2]} ... {line[-_WIDTH // 2 :]}"


def _failed() -> type[BaseException] | None:
    """What ``pytest.fail`` raises; without pytest there is nothing like it."""
    pytest = sys.modules.get("pytest")
    return None if pytest is None else pytest.fail.Exception


def _beside() -> tuple[type[Exception], ...]:
    found: list[type[Exception]] = []
    if "unittest" in sys.modules:
        found.append(sys.modules["unittest"].SkipTest)
    if "hypothesis.errors" in sys.modules:
        found.append(sys.modules["hypothesis.errors"].UnsatisfiedAssumption)
    return tuple(found)
