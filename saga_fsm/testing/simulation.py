"""
One run under faults, one thing at a time: the deterministic sibling of the two shells.

It reads the same driver and the same journal as ``run`` and ``arun``, but nothing happens by
itself: whoever holds a simulation says which call is answered next and what goes wrong with it.
Time passes only when nothing else can. A crash drops the driver and recovers another from the
journal; the one that was superseded may still make its calls, and must not be able to write.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from typing_extensions import override

from saga_fsm.definition import Kind
from saga_fsm.errors import ConcurrentAppendError
from saga_fsm.machine import Status
from saga_fsm.runner.commands import Invoke
from saga_fsm.runner.outcome import Outcome
from saga_fsm.runner.shell import driver_of
from saga_fsm.testing.clock import VirtualClock
from saga_fsm.testing.effects import EffectLog
from saga_fsm.testing.harm import InterruptedAgainError, deliver, inflict, spoils
from saga_fsm.testing.journal import AppendLostError, FragileJournal
from saga_fsm.testing.participants import Later, Participants, site_of
from saga_fsm.testing.plan import OPERATOR, Fault, site_at
from saga_fsm.testing.stage import Answers, Kindred, Loop, Owner, Stage, Visit, Watch


RUN_ID = "run"
# More things than so many, and so many for each row, do not happen in one run.
_PATIENCE, _PATIENCE_FOR_A_ROW = 500, 10
# A plan may ask for a fault each time. Faults stop some day, and then every run must end.
_MOST_FAULTS = 200
_YEAR = 365.0 * 24 * 3600


class _Luck(random.Random):
    """Luck that repeats, and knows how much of it is gone."""

    drawn = 0

    @override
    def random(self) -> float:
        self.drawn += 1
        return super().random()


class Simulation:
    """
    A run that does nothing by itself.

    Args:
        stage: the saga, made ready.
        world: given to every step as ``ctx.services``.
        input: the saga's input.
        loop: for async actions; whoever gives it closes it.
        answers: outcomes of pending steps, by step.
        watch: asked at each place where something may go wrong.
        died: told when the orchestrator dies: what nobody has committed is gone then.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts of one run
        self,
        stage: Stage,
        *,
        world: Any,
        input: Any,  # noqa: A002 - the interface's word
        loop: Loop,
        answers: Answers | None = None,
        watch: Watch = lambda *_: (),
        died: Callable[[], object] = lambda: None,
    ) -> None:
        self.stage = stage
        self.world = world
        self.input = input
        self.patience = _PATIENCE + _PATIENCE_FOR_A_ROW * len(stage.machine.rows)
        self.answers = dict(answers or {})
        self.watch = watch
        self.died = died
        self.participants = Participants(stage, loop)
        self.value = loop.value
        self.clock = VirtualClock()
        #: Rules that the library itself has broken.
        self.broken: list[str] = []
        self.journal = FragileJournal(self._append_fault, self._intrude, self.broken.append)
        #: Actions and undos that somebody has sent, whether or not they arrived.
        self.made: list[tuple[Owner, Invoke]] = []
        self._injected = 0
        self._luck = _Luck(0)
        self._counts: dict[str, int] = {}
        #: Calls that arrive when all is over, and who has sent them.
        self.on_the_way: list[tuple[Owner, Invoke]] = []
        self._slow: list[tuple[Invoke, Later]] = []
        self._intruded = False
        self._intruder: Owner | None = None
        self.owner = self._new_owner()

    @property
    def log(self) -> EffectLog:
        """Each call that reached the participants."""
        return self.participants.log

    @property
    def mistakes(self) -> list[str]:
        """Of the user's code where nothing was injected, and of ours where rules were broken."""
        return [*self.participants.mistakes, *self.broken]

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
        return bool(self.on_the_way)

    def begin(self) -> None:
        """Start the run."""
        self._guarded(self.owner.open)

    def once(self) -> None:
        """Let the next thing happen: a call is made, a slow answer comes, or a timer rings."""
        if self.calls:
            self.make(self.calls[0])
        elif self._slow:
            invoke, later = self._slow.pop(0)
            self._guarded(lambda: self.settle(invoke, *later()))
        else:
            self._guarded(self._ring)

    def finish(self) -> None:
        """Let things happen until the run rests and nothing is on its way; but not for ever."""
        for _ in range(self.patience):
            if self.calls or not self.resting:
                self.once()
            elif self.late:
                self.land_late()
            elif not deliver(self):
                return

    def close(self) -> None:
        """End it: run and journal know each other, and a circle would wait for the collector."""
        self.journal.close()

    def make(self, invoke: Invoke) -> None:
        """Make one call of those in flight, with what ``watch`` says goes wrong."""
        site, kind = self._place(invoke)
        faults = self._visit(site, kind, invoke)
        self.owner.calls.remove(invoke)
        self._asked_for(invoke, site)
        if kind in {"action", "compensation"}:
            self.made.append((self.owner, invoke))
        self._guarded(lambda: inflict(self, invoke, site, faults))

    def _asked_for(self, invoke: Invoke, site: str) -> None:
        """What is called is owed by the machine, and what is undone may have landed (R11)."""
        kind, path, _ = invoke.leg
        facts = self.owner.driver.facts
        if invoke.leg in facts.flight and not self.stage.owes(facts.state, kind, path):
            self.broken.append(f"{site} is called, and the machine does not ask for it")
        if kind != "compensate" or path not in self.stage.layout.steps:
            return
        # A wait that was ended is in doubt by the driver's own word.
        doubted = any(path == one for one, _ in facts.doubted)
        if not (doubted or self.log.doubtful(path)):
            self.broken.append(f"{path} is undone, though it surely never landed")

    def land_late(self) -> None:
        """Let the oldest of the calls that are still on their way arrive."""
        self._land(*self.on_the_way.pop(0))

    def again(self, which: int) -> None:
        """Let a copy of a call that was made before arrive, by its number in ``made``."""
        self._land(*self.made[which])

    def _land(self, owner: Owner, invoke: Invoke) -> None:
        value, error = self.participants.perform(invoke, injected=True)
        if owner is self.owner:
            self._guarded(lambda: owner.settle(invoke.leg, value, error))
            return
        # Who took over a run at rest had nothing to write: then the first one owns it still.
        before, superseded = self.journal.length, owner.written != self.journal.length
        try:
            owner.settle(invoke.leg, value, error)
        except (ConcurrentAppendError, AppendLostError, InterruptedAgainError):
            return
        if self.journal.length != before:
            if superseded:
                self.broken.append(f"a superseded owner wrote what came of {site_of(invoke)}")
            self.restart()

    def cancel(self) -> None:
        """Cancel the run, as a user does."""
        self._guarded(lambda: self.hear("cancel"))

    def crash(self) -> None:
        """Let the orchestrator die and another recover its run."""
        self.restart()

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
        driver = self.owner.driver
        if word not in self.words(path) or not self.participants.made_true(driver, path, word):
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

    def on_its_way(self) -> Any:
        """What has been sent and not arrived, as a value; who sent it, and what luck is left."""
        late = [(owner is self.owner, invoke.leg) for owner, invoke in self.on_the_way]
        slow = [(invoke.leg, later) for invoke, later in self._slow]
        return late, slow, self._luck.drawn

    # ------------------------------------------------------------------ owners

    def _new_owner(self) -> Owner:
        driver = driver_of(
            self.stage.saga,
            input=self.input,
            services=self.world,
            journal=self.journal,
            run_id=RUN_ID,
            random=self._luck,
            answers=self.answers,
        )
        driver.admit = self.participants.admit
        return Owner(driver, self.journal, self.clock, None)

    def restart(self) -> None:
        """Recover by a new owner; that one may die as well."""
        while self._slow:
            # Who was called goes on, and nobody hears the answer.
            self._slow.pop(0)[1]()
        self._doubt_all()
        self.died()
        while True:
            self.owner = self._new_owner()
            try:
                self.owner.open()
            except AppendLostError:
                continue
            except ConcurrentAppendError as error:
                self._give_way(error)
            if not self._visit("recover", "recover"):
                return

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do something; an append that is lost kills the owner, and another recovers."""
        try:
            act()
        except (AppendLostError, InterruptedAgainError):
            self.restart()
        except ConcurrentAppendError as error:
            self._give_way(error)
        self._intruded, self._intruder = False, None

    def _intrude(self) -> None:
        """Let another take the run up while this owner is about to write; it may die of that."""
        self._intruded = True
        intruder = self._new_owner()
        try:
            intruder.open()
        except (AppendLostError, ConcurrentAppendError):
            return
        self._intruder = intruder

    def _give_way(self, error: ConcurrentAppendError) -> None:
        """
        Whoever was faster has the run, and all that is called from now on.

        Raises:
            ConcurrentAppendError: nobody was: the journal refuses what it should take.
        """
        intruder, intruded = self._intruder, self._intruded
        self._intruded, self._intruder = False, None
        if not intruded:
            raise error
        self._doubt_all()
        if intruder is None:
            self.restart()
        else:
            self.owner = intruder

    def _ring(self) -> None:
        self._doubt_all()
        seconds = self.owner.until_due()
        self.clock.wait(None, seconds, busy=False)
        self.owner.ring()

    def hear(self, event: str) -> None:
        """Let an event come from outside."""
        self.owner.take(self.owner.driver.heard(event, self.clock.now()))

    def _append_fault(self) -> Fault | None:
        return next(iter(self._visit("journal", "journal")), None)

    def _visit(self, site: str, kind: Kindred, invoke: Invoke | None = None) -> Sequence[Fault]:
        number = self._counts.get(site, 0)
        self._counts[site] = number + 1
        faults = self.watch(site, number, partial(self._look, site, number, kind, invoke))
        if not faults:
            return ()
        faults = list(faults)
        self._injected += len(faults)
        return faults if self._injected <= _MOST_FAULTS else ()

    def _look(self, site: str, number: int, kind: Kindred, invoke: Invoke | None) -> Visit:
        unit = self.stage.unit(site)[0]
        landed = company = spoilable = False
        words: tuple[Fault, ...] = ()
        if invoke is not None:
            company = self._company()
            landed = invoke.leg[0] == "call" and self.log.landed(invoke.leg[1])
            spoilable = spoils(self.world, site) or (
                kind in {"action", "readonly"} and self.stage.typed(unit)
            )
        elif kind == "operator":
            words = self.words(unit)
        near = self._near(site)
        # What is refused after a doubt is another story than what is refused at once.
        key = *self.key(), any(unit == path for path, _ in self.owner.driver.facts.doubted)
        return Visit(
            site, number, kind, key, near, company, landed, spoilable=spoilable, words=words
        )

    def _near(self, site: str) -> tuple[int, int, bool]:
        codes = self.owner.driver.facts.state.codes
        unit, place = self.stage.unit(site)
        return codes[0], codes[place] if place else -1, self.log.stands(unit)

    def ask_operator(self, path: str) -> Fault | None:
        """What the plan lets an operator say about a step on which the run is stuck."""
        said = self._visit(site_at(path, "operator"), "operator")
        return next(iter(said), None)

    def _company(self) -> bool:
        owner = self.owner
        return len(owner.calls) + len(self._slow) > 1 or any(
            key[0] != "deadline" for key in owner.timers
        )

    def _place(self, invoke: Invoke) -> tuple[str, Kindred]:
        kind, path, _ = invoke.leg
        site = site_of(invoke)
        if kind in {"decide", "expand"}:
            return site, "ask"
        if kind == "call":
            if invoke.function is self.owner.driver.calls.answers.get(path):
                return site_at(path, "answer"), "answer"
            readonly = self.stage.layout.steps[path].kind is Kind.READONLY
            return site, "readonly" if readonly else "action"
        return site, "query" if kind == "query" else "compensation"

    # ------------------------------------------------------------------ what comes of a call

    def settle(self, invoke: Invoke, value: Any, error: BaseException | None) -> None:
        """Tell the owner how a call was answered; what that leaves open is noted."""
        kind, path, _ = invoke.leg
        if kind == "call" and error is not None and not self.participants.surely_not(path, error):
            self.log.doubt(path)
        self.owner.settle(invoke.leg, value, error)

    def answer_later(self, invoke: Invoke, later: Later) -> None:
        """Let whatever else is in flight or due come before this answer."""
        self._slow.append((invoke, later))
        if not self.owner.calls and any(key[0] != "deadline" for key in self.owner.timers):
            self._ring()

    def jump(self) -> None:
        """Let a year pass."""
        self._doubt_all()
        self.clock.wait(None, _YEAR, busy=False)
        self.owner.ring()

    def _doubt_all(self) -> None:
        """Of no call that is in flight anybody will know the answer."""
        for kind, path, _ in self.owner.driver.facts.flight:
            if kind == "call":
                self.log.doubt(path)


def _event(path: str, word: Fault) -> str:
    return f"retry({path})" if word is Fault.RETRY else f"resolve({path},{word})"
