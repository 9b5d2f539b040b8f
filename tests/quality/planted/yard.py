"""The world of the library's bugs, and a run that is driven by hand, answer by answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from saga_fsm import GUARDED as KEPT
from saga_fsm import (
    Contract,
    Outcome,
    Rejected,
    Saga,
    Status,
    Transient,
    each,
    pivot,
    retriable,
    step,
)
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.runner.commands import Invoke, Leg, Wake
from saga_fsm.runner.driver import Driver
from tests.quality.planted import Planted, SagaFactory, Where
from tests.quality.planted.scene import SEVERAL, World, awaited, settled


BARE = Contract(sticky=True, fenced=True)
_MARKS = {"call": "", "compensate": "-", "query": "?", "decide": ":", "expand": ":"}
_MANY = 200


class Yard(World):
    """
    Counts what stands, by path.

    Args:
        above: what must not be undone while another stands, as a foreign key forbids it.
    """

    def __init__(self, above: dict[str, str] | None = None) -> None:
        super().__init__()
        self.stands: dict[str, int] = {}
        self.items: list[Any] = []
        self.most = 0
        self.open = True
        self.approved = 0
        self.above = above or {}

    def add(self, path: str, by: int) -> str:
        """One effect more, or less."""
        self.stands[path] = self.stands.get(path, 0) + by
        return f"result of {path}"

    def act(self, ctx: Any) -> Any:
        """Cause the effect of a step, once."""
        self.most = max(self.most, ctx.attempt)
        return self.once(ctx.key, lambda: self._effect(ctx))

    def _effect(self, ctx: Any) -> str:
        if ctx.index is not None:
            self.items.append(ctx.item)
        return self.add(ctx.step, 1)

    def act_again(self, ctx: Any) -> Any:
        """Cause it each time, unless it was undone: not idempotent."""
        if self.kept.get(ctx.key, ("",))[0] == "undone":
            raise Rejected("it was taken back")
        self.kept[ctx.key] = ("applied", None)
        return self._effect(ctx)

    def undo(self, ctx: Any, result: Any) -> None:
        """Take it back, once."""
        mine = f"result of {ctx.step}"
        if str(result).startswith("result of ") and result != mine:
            self.errors.append(f"{ctx.step} was given another's result")
        above = self.above.get(ctx.step)
        if above is not None and self.stands.get(above):
            self.errors.append(f"{ctx.step} is undone below {above}")
            raise ValueError(above)
        self.back(ctx.action_key, lambda _: self._taken(ctx))

    def _taken(self, ctx: Any) -> None:
        if ctx.index is not None:
            self.items.remove(ctx.item)
        self.add(ctx.step, -1)

    def counter(self, ctx: Any, _result: Any) -> None:
        """Take it back by a counter-booking under the undo's own key."""
        if self.kept.setdefault(ctx.action_key, ("undone", ""))[0] == "applied":
            self.once(ctx.key, lambda: self.add(ctx.step, -1))

    @property
    def standing(self) -> dict[str, int]:
        """All that is not zero."""
        return {path: count for path, count in self.stands.items() if count}


class Loose(Yard):
    """A yard without tombstones: what comes after its undo lands."""

    def back(self, key: str, undo: Any) -> None:
        """Take it back once, and leave nothing where there is nothing."""
        if key in self.kept:
            super().back(key, undo)


class Swept(Yard):
    """A yard in which a nested saga is taken back as a whole, by its key."""

    def sweep(self, ctx: Any) -> None:
        """Take back all that has landed under a key."""
        inside = f"{ctx.action_key}/"
        for key in [key for key in self.kept if key.startswith(inside)]:
            path = key.partition("/")[2]
            self.back(key, lambda _, path=path: self.add(path, -1))


def sweep(ctx: Any, _results: Any) -> None:
    """Take back a nested saga as a whole."""
    ctx.services.sweep(ctx)


def ask(ctx: Any) -> Any:
    """Ask the yard what came of a step."""
    return ctx.services.asked(ctx.key)


def lines(ctx: Any) -> Any:
    """What a block is repeated for."""
    return ctx.input["lines"]


def undo(ctx: Any, result: Any | None) -> None:
    """Take a step back."""
    ctx.services.undo(ctx, result)


def is_open(ctx: Any) -> bool:
    """Choose by what the yard says now."""
    return bool(ctx.services.open)


def counter(ctx: Any, result: Any | None) -> None:
    """Take a step back by a counter-booking."""
    ctx.services.counter(ctx, result)


def _act(ctx: Any) -> Any:
    return ctx.services.act(ctx)


def _act_again(ctx: Any) -> Any:
    return ctx.services.act_again(ctx)


def C(name: str, back: Any = undo, **options: Any) -> Any:
    """A step that is compensated, with a few attempts."""
    action = _act_again if options.get("contract") is BARE else _act
    return step(action, name=name, compensate=back, **{"retry": SEVERAL, **options})


def P(name: str = "p", **options: Any) -> Any:
    """A pivot."""
    return pivot(_act, name=name, **options)


def R(name: str = "r", **options: Any) -> Any:
    """A step that must happen."""
    return retriable(_act, name=name, **options)


def S(*blocks: Any, **options: Any) -> Saga[Any, Any]:
    """A saga whose participants keep their promises."""
    return Saga("yard", *blocks, **{"contract": KEPT, **options})


def repeated() -> Any:
    """Make a saga of a step for each line, at most three."""
    return S(each(lines, C("line"), max_items=3, name="lines"), P())


def exactly(*paths: str) -> Callable[[Any, Outcome[Any]], bool]:
    """Of what completed these stand once and nothing else; of what went back nothing does."""

    def judge(world: Any, outcome: Outcome[Any]) -> bool:
        wanted = dict.fromkeys(paths, 1) if outcome.status is Status.COMPLETED else {}
        return bool(world.standing == wanted)

    return settled(judge)


class Hand:
    """
    A run driven by hand over a journal in memory.

    A script's words: ``a`` lets step a answer, ``a-`` its undo, ``a?`` its query, ``a:`` a chooser;
    ``a=reject``, ``=transient``, ``=lost`` (nothing lands), ``=lands`` (it does, and the answer is
    lost), ``=late`` (it lands when ``late`` is said), ``=open`` (it lands and nobody says so);
    ``crash`` takes the run up anew, ``cancel`` cancels, ``+30`` lets seconds pass. What a script
    leaves open is answered well, in order.
    """

    def __init__(self, saga: SagaFactory, world: Any, given: Any, answers: Any = None) -> None:
        self.saga, self.world, self.given = saga(), world, given
        self.answers = answers or {}
        self.journal = MemoryJournal(now=lambda: 0.0)
        self.now = 0.0
        self.said: list[str] = []
        self.late: tuple[Leg, Invoke] | None = None
        self._fresh()
        self._take(self.driver.start(self.now))

    def _fresh(self) -> None:
        self.open: list[Invoke] = []
        self.timers: dict[Any, float] = {}
        self.written = 0
        self.driver = Driver(
            self.saga,
            input=self.given,
            run_id="r1",
            services=self.world,
            answers=self.answers,
            luck=lambda: 0.0,
        )

    def _take(self, told: Any) -> None:
        entries, commands = told
        if entries:
            self.written = self.journal.append("r1", entries, expected=self.written)
        for command in commands:
            if isinstance(command, Invoke):
                self.open.append(command)
            elif isinstance(command, Wake):
                self.timers.pop(command.key, None)
                if command.at is not None:
                    self.timers[command.key] = command.at

    def play(self, script: str) -> Any:
        """Say the words of a script, then let the rest go well; tell all that can be seen."""
        try:
            for word in script.split():
                self._say(word)
            for _ in range(_MANY):
                if self.driver.resting:
                    break
                if self.open:
                    self._answer(self.open.pop(0), "")
                elif self.timers:
                    self._pass(min(self.timers.values()))
        except Exception as error:  # noqa: BLE001 - what it raises is what is told
            self.said.append(type(error).__name__)
        state = self.driver.facts.state
        return state.status.name, self.said, self.world.view(), self.driver.outcome().unresolved

    def _say(self, word: str) -> None:
        if word == "crash":
            self._fresh()
            entries = self.journal.read("r1")
            self.written = len(entries)
            self._take(self.driver.recover(entries, self.now))
        elif word == "cancel":
            self._take(self.driver.heard("cancel", self.now))
        elif word == "late":
            assert self.late is not None
            leg, invoke = self.late
            value = awaited(invoke.function(*invoke.arguments))
            self._take(self.driver.returned(leg, value, self.now))
        elif word.startswith("+"):
            self._pass(self.now + float(word))
        else:
            name, _, fault = word.partition("=")
            while not any(self._name(one) == name for one in self.open):
                if not self.timers:
                    self.said.append(f"no {name}")
                    return
                self._pass(min(self.timers.values()))
            at = [self._name(one) for one in self.open].index(name)
            self._answer(self.open.pop(at), fault)

    @staticmethod
    def _name(invoke: Invoke) -> str:
        return invoke.leg[1].rpartition("@")[2] + _MARKS[invoke.leg[0]]

    def _pass(self, until: float) -> None:
        self.now = max(self.now, until)
        for key, at in sorted(self.timers.items(), key=lambda pair: pair[1]):
            if at <= self.now and self.timers.get(key) == at:
                del self.timers[key]
                self._take(self.driver.woke(key, self.now))

    def _answer(self, invoke: Invoke, fault: str) -> None:
        self.said.append(f"{self._name(invoke)}{fault and '='}{fault}")
        leg, driver = invoke.leg, self.driver
        lost: dict[str, Exception] = {
            "reject": Rejected("no"),
            "transient": Transient("not now", after=30.0),
            "lost": ConnectionError("nobody there"),
            "late": TimeoutError("no answer"),
        }
        if fault == "late":
            self.late = (leg, invoke)
        if fault in lost:
            self._take(driver.raised(leg, lost[fault], self.now))
            return
        try:
            value = awaited(invoke.function(*invoke.arguments))
        except Exception as error:  # noqa: BLE001 - the driver says what it means
            self._take(driver.raised(leg, error, self.now))
            return
        if fault == "lands":
            self._take(driver.raised(leg, ConnectionError("answer lost"), self.now))
        elif fault != "open":
            self._take(driver.returned(leg, value, self.now))


def of_library(  # noqa: PLR0913, PLR0917 - the parts of a bug
    name: str,
    where: Where,
    why: str,
    plant: Callable[[], AbstractContextManager[Any]],
    saga: SagaFactory,
    consistent: Any,
    script: str,
    *,
    given: Any = None,
    world: Any = Yard,
    answers: Any = None,
) -> Planted:
    """Make a bug of the library: shown where a script goes another way while it is planted."""

    def shows() -> bool:
        sound = Hand(saga, world(), given, answers).play(script)
        with plant():
            wrong = Hand(saga, world(), given, answers).play(script)
        return bool(sound != wrong)

    return Planted(
        name, where, why, saga, world, given, consistent, shows, plant=plant, answers=answers
    )
