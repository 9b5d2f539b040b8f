"""A world that logs every call and counts what really happened; the letters of the stories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from saga_fsm import GUARDED, Rejected, Saga, Status, Transient, pivot, readonly, retriable, step
from saga_fsm.journals.memory import MemoryJournal
from saga_fsm.ports import Entry


class Died(BaseException):
    """The process is gone: nothing after this is executed or written."""


class MortalJournal(MemoryJournal):
    """A journal that outlives its process, and to which a dead process writes nothing."""

    def __init__(self, effects: Effects) -> None:
        super().__init__()
        self._effects = effects
        self._when: dict[str, Callable[[], None]] = {}

    def when(self, event: str, then: Callable[[], None]) -> None:
        """Do something, once, as soon as an event is written."""
        self._when[event] = then

    def dies_after(self, event: str) -> None:
        """Let the process die, once, as soon as an event is written."""

        def die() -> None:
            self._effects.dead = True
            raise Died

        self.when(event, die)

    def append(self, run_id: str, entries: Sequence[Entry], *, expected: int) -> int:
        """Add the entries, if anybody is there to write them."""
        if self._effects.dead:
            raise Died
        length = super().append(run_id, entries, expected=expected)
        for entry in entries:
            self._when.pop(entry.event, _nothing)()
        return length

    def events(self, run_id: str) -> list[str]:
        """What moved the run, notes left out."""
        return [one.event for one in self.read(run_id) if not one.event.startswith("#")]


def _nothing() -> None:
    pass


class FastClock:
    """A clock on which waiting takes no time; it remembers how long was waited."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waited: list[float] = []

    def now(self) -> float:
        """Seconds since the start."""
        return self.time

    def wait(self, get: Callable[[float | None], Any], seconds: float | None, *, busy: bool) -> Any:
        """Wait for what is in flight; else let the time pass."""
        if busy:
            return get(None)
        assert seconds is not None, "nothing would ever happen"
        self.time += seconds
        self.waited.append(seconds)
        return None


@attrs.define
class Effects:
    """
    Participants whose effects are counted, and whose calls can be made to go wrong.

    Args:
        guarded: they are idempotent, sticky and fenced; else they do what they are told, each time.
        before: what to do as a call comes in, by its name.
        after: what to do as its work is over, before it answers.
    """

    guarded: bool = True
    before: dict[str, Callable[[], object]] = attrs.field(factory=dict)
    after: dict[str, Callable[[], object]] = attrs.field(factory=dict)
    seen: list[Any] = attrs.field(factory=list)
    calls: list[str] = attrs.field(factory=list)
    keys: list[str] = attrs.field(factory=list)
    given: dict[str, Any] = attrs.field(factory=dict)
    landed: Counter[str] = attrs.field(factory=Counter)
    undone: Counter[str] = attrs.field(factory=Counter)
    fired: list[str] = attrs.field(factory=list)
    dead: bool = False
    _faults: dict[str, list[str]] = attrs.field(factory=dict)
    _marks: dict[str, str] = attrs.field(factory=dict)

    def on(self, name: str, *faults: str) -> Effects:
        """Let the calls of ``name`` go wrong, in this order; an ``always x`` stays."""
        self._faults[name] = list(faults)
        return self

    def unfired(self) -> list[str]:
        """Name the calls that were to go wrong and never did: a test of them would be vacuous."""
        return [
            name
            for name, faults in self._faults.items()
            if (name not in self.fired if faults and faults[0].startswith("always") else faults)
        ]

    def net(self, name: str) -> int:
        """Effects that stand."""
        return self.landed[name] - self.undone[name]

    def act(self, ctx: Any) -> str:
        """Do it, or what the fault says."""
        name = _letter(ctx.step)
        fault = self._called(name, ctx.key)
        if fault == "reject":
            self._marks.setdefault(ctx.key, "rejected")
            raise Rejected(f"{name} says no")
        if fault == "swallow":
            return f"result of {name}"
        if fault not in {"lost_request", "transient", "die_before"}:
            self._land(name, ctx.key)
        self.after.get(name, _nothing)()
        self._go_wrong(fault)
        return f"result of {name}"

    def ask(self, ctx: Any) -> str:
        """Say whether it landed; if it has not, see that it never will."""
        name = _letter(ctx.step)
        self.calls.append(f"{name}?")
        if self._marks.setdefault(ctx.key, "rejected") != "applied":
            raise Rejected(f"{name} has not landed")
        return f"result of {name}"

    def undo(self, ctx: Any, result: Any) -> None:
        """Undo it, or what the fault says."""
        name = _letter(ctx.step)
        fault = self._called(name.lower(), ctx.key)
        self.given[name.lower()] = result
        if fault not in {"lost_request", "transient", "die_before", "missing"}:
            self._take_back(name, ctx.action_key)
        self.after.get(name.lower(), _nothing)()
        self._go_wrong(fault)

    def late(self, name: str, run_id: str) -> bool:
        """Let a delayed copy of an action's request arrive; say whether it landed."""
        before = self.landed[name]
        try:
            self._land(name, f"{run_id}/{name}")
        except Rejected:
            return False
        return self.landed[name] > before

    def wrong(self, outcome: Any, steps: str) -> list[str]:
        """
        Name the steps whose net effect is neither what the outcome claims nor listed (I1, I2, I3).

        Stuck on the way back claims that nothing stands but what is unresolved; stuck on the way
        forward, that all stands but that.
        """
        owed = outcome.unresolved
        back = outcome.status is Status.COMPENSATED or "compensate" in owed.values()
        target = 0 if back else 1
        return [name for name in steps if self.net(name) != target and name not in owed]

    def _called(self, name: str, key: str) -> str:
        self.calls.append(name)
        self.keys.append(key)
        self.before.get(name, _nothing)()
        faults = self._faults.get(name, [])
        fault = "" if not faults else faults[0] if faults[0].startswith("always") else faults.pop(0)
        if fault:
            self.fired.append(name)
        return fault.removeprefix("always ")

    def _land(self, name: str, key: str) -> None:
        mark = self._marks.get(key)
        if self.guarded and mark == "applied":
            return
        if self.guarded and mark is not None:
            raise Rejected(f"{name} was {mark}")
        self._marks[key] = "applied"
        self.landed[name] += 1

    def _take_back(self, name: str, key: str) -> None:
        if self._marks.get(key) == "applied":
            self.undone[name] += 1
            self._marks[key] = "undone"
        else:
            self._marks.setdefault(key, "fenced")

    def _go_wrong(self, fault: str) -> None:
        if fault in {"die_before", "die_after"}:
            self.dead = True
        if fault in {"lost_request", "lost_reply", "partial"}:
            raise TimeoutError(fault)
        if fault == "transient":
            raise Transient(fault)
        if fault == "missing":
            raise NotImplementedError(fault)
        if fault == "interrupt":
            raise KeyboardInterrupt


def _letter(path: str) -> str:
    return path.rpartition("/")[2].partition("[")[0]


def act(ctx: Any) -> str:
    """Act on the world."""
    answer: str = ctx.services.act(ctx)
    return answer


def undo(ctx: Any, result: str | None) -> None:
    """Undo it there."""
    ctx.services.undo(ctx, result)


def ask(ctx: Any) -> str:
    """Ask whether it landed."""
    answer: str = ctx.services.ask(ctx)
    return answer


def A(name: str, **options: Any) -> Any:
    """Make the step ``A/a`` of the notation."""
    return step(act, name=name, compensate=undo, **options)


def P(name: str, **options: Any) -> Any:
    """Make the pivot ``P!``."""
    return pivot(act, name=name, **options)


def N(name: str, **options: Any) -> Any:
    """Make the retriable ``N*``."""
    return retriable(act, name=name, **options)


def R(name: str, **options: Any) -> Any:
    """Make the read-only ``R0``."""
    return readonly(act, name=name, **options)


def saga(*blocks: Any, **options: Any) -> Saga[Any, Any]:
    """Make the story's saga, guarded unless it says otherwise."""
    return Saga("story", *blocks, **{"contract": GUARDED, **options})
