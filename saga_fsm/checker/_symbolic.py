"""
Search by sets of states: what no engine can enumerate, proved by binary decision diagrams.

The reading is the settled one: a set holds quiet states only; a command is applied to it, then the
internal commands, until none is enabled. On a confluent table (each that the compiler makes) any
order of these gives the same. A tampered one may enable two that contradict each other: where this
is seen while sets settle, both are taken, so there may be more states than the one order has that
other engines follow. That is no proof that each order there is was taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from saga_fsm.checker._actions import Action, Actions
from saga_fsm.checker._bdd import NAMES, NODE, Diagrams, Set
from saga_fsm.checker._cores import state_of
from saga_fsm.checker._counting import local_values, moves
from saga_fsm.checker._driving import Driving
from saga_fsm.checker._leaps import Leaps
from saga_fsm.checker._rings import Rings
from saga_fsm.checker._settling import Settling
from saga_fsm.checker._traces import Breach
from saga_fsm.machine._alphabet import BROKEN
from saga_fsm.ports import Progress
from saga_fsm.product import Forbidden, Network


# The largest product of nodes and commands for which moves are counted.
_COUNTABLE = 400_000_000
# What one operation on one node takes.
_SLOWER = {"cudd": 1, "autoref": 10}
_LIVELOCK = "from here the run can never come to rest"


class _Over(Exception):  # noqa: N818 - no error: the search ends
    """A limit is reached."""


@attrs.frozen
class Proved:
    """
    What a symbolic search saw; read as ``Explored``, with what only it can say.

    Args:
        states: exactly, of whatever size.
        transitions: exactly; None where counting them would cost more than the search.
        depth: None: the order of application is not breadth-first.
        complete: False when a limit or an interrupt cut it short.
        interrupted: whether it was an interrupt.
        breaches: one per rule and step.
        taken: numbers of the machine's rows that were taken.
        reached: the local states of each automaton.
        backend: "CUDD" or "pure Python".
        nodes: of the diagram of all states.
        shortest: whether each run to a breach is proved to be a shortest one.
    """

    states: int
    transitions: int | None
    depth: int | None
    complete: bool
    interrupted: bool
    breaches: tuple[Breach, ...]
    taken: frozenset[int]
    reached: tuple[frozenset[int], ...]
    backend: str
    nodes: int
    shortest: bool


def explore_symbolically(  # noqa: PLR0913 - what is searched, and how far
    network: Network,
    *,
    limit: int | None = None,
    memory: int | None = None,
    work: int | None = None,
    progress: Progress | None = None,
    backend: str | None = None,
) -> Proved:
    """
    Explore all that can be reached, as one set.

    Args:
        network: machine and environment.
        limit: the largest number of live nodes; over it the search is not complete.
        memory: the largest number of bytes of diagrams, likewise.
        work: the largest number of operations times live nodes, likewise, for CUDD; pure Python,
            which is slower, has less. A bound of time that is the same on each machine.
        progress: is told of it now and then; it counts nodes where others count states.
        backend: "cudd" or "autoref"; None for the faster one that is there.

    Raises:
        MissingExtraError: ``dd`` is not installed.
        ValueError: an unknown backend.
    """
    diagrams = Diagrams(network, backend=backend, memory=memory)
    if work is not None:
        work //= _SLOWER[diagrams.backend]
    nodes = [] if limit is None else [limit]
    if memory is not None:
        nodes.append(max(1, memory // NODE[diagrams.backend]))
    exploring: _Exploring | None = None
    complete = interrupted = False
    try:
        exploring = _Exploring(Actions(diagrams), min(nodes, default=None), progress, work)
        exploring.run()
        complete = True
    except KeyboardInterrupt:
        interrupted = True
    except _Over:
        pass
    except (MemoryError, RuntimeError, ValueError):
        # So says CUDD that it is over its memory: a node that is NULL.
        if memory is None:
            raise
    diagrams.lift()
    exploring = exploring or _Exploring(Actions(diagrams))
    return exploring.proved(complete=complete, interrupted=interrupted)


class _Meter:
    """
    How far a search is, and whether it may go on.

    It does not know the search: diagrams in a cycle would outlive the library that holds them.
    """

    def __init__(
        self,
        diagrams: Diagrams,
        limit: int | None,
        progress: Progress | None,
        work: int | None = None,
    ) -> None:
        self.diagrams = diagrams
        self.work = work
        self.limit = limit
        self.progress = progress
        self.applied = self.due = 0

    def tick(self) -> None:
        """One more action is applied."""
        self.applied += 1
        if self.applied < self.due:
            return
        # To count nodes is dear: the more is done, the more rarely.
        ahead = max(8, self.applied // 4)
        self.due += ahead
        nodes = self.diagrams.live()
        if self.limit is not None and nodes > self.limit:
            raise _Over
        if self.work is not None:
            self.work -= nodes * ahead
            if self.work < 0:
                raise _Over
        if self.progress is not None:
            self.progress(nodes, self.applied, 0, 0)


class _Exploring:
    """One search: the states found, and what is left to settle."""

    def __init__(
        self,
        actions: Actions,
        limit: int | None = None,
        progress: Progress | None = None,
        work: int | None = None,
    ) -> None:
        diagrams = actions.diagrams
        self.diagrams = diagrams
        self.network = diagrams.network
        self.limit = limit
        self.found: Set = diagrams.point(self.network.initial)
        self.meter = _Meter(diagrams, limit, progress, work)
        self.breaches: dict[tuple[str, str], Breach] = {}
        self.transitions: int | None = None
        self.shortest = True
        self.actions = actions
        self.settling = Settling(diagrams, actions.internal, self.meter.tick)
        self.leaps = Leaps(actions)
        # By part: what was found when nothing more came of it.
        self.complete: dict[str, Set] = {}
        # What was found, set by set, where somebody asks for that.
        self.trail: list[Set] | None = None
        self._inside = _parts_of(self.network)

    def run(self) -> None:
        """All of it: the states, what is broken in them, and whether each can come to rest."""
        self._saturate("")
        self.note_rows()
        self._count_transitions()
        self._look()
        self._rest()

    # ------------------------------------------------------------------ forwards

    def _saturate(self, path: str) -> None:
        """Everything that what is in this part can do, until nothing is new."""
        own = self._of(path)
        if path not in self._inside:
            while self.complete.get(path) != self.found:
                self.complete[path] = self.found
                for action in self._left(path):
                    self._fire(action)
            return
        self._saturate_inside(path)
        again = True
        while again:
            again = False
            for action in own:
                if self._fire(action):
                    again = True
                    self._saturate_inside(path)
            # Last, that nothing waits when nothing is new.
            if not path and self._heard():
                again = True
                self._saturate_inside(path)

    def _of(self, path: str) -> list[Action]:
        return self.actions.by_path.get(path, [])

    def _saturate_inside(self, path: str) -> None:
        inside = self._inside.get(path, [])
        while True:
            before = self.found
            for one in inside:
                self._saturate(one)
            if self.found == before:
                return
            # Forwards runs go down the saga, the undo comes back up.
            inside = inside[::-1]

    def _left(self, path: str) -> list[Action]:
        """Let a part do all that it can do by itself; what is left for single steps."""
        leap = None if self.trail is not None else self.leaps.of(path)
        if leap is None:
            return self._of(path)
        self.meter.tick()
        now = self.diagrams.leapt(self.found, leap.relation, leap.bits)
        if now & leap.clash != self.diagrams.false:
            self.leaps.deny(path)
            return self._of(path)
        for action in leap.inner.values():
            self.settling.note(action, now)
        self._add(self.settling.quiet(now & ~leap.stirs, leap.wakes))
        return leap.left

    def _fire(self, action: Action) -> bool:
        """Apply an action to all that was found; whether something is new."""
        self.meter.tick()
        now = self.diagrams.image(self.found, action.guard, action.written, action.cube)
        if now == self.diagrams.false:
            return False
        self.settling.note(action, self.found)
        if action.wakes:
            now = self.settling.quiet(now, action.wakes)
        return self._add(now)

    def _add(self, states: Set) -> bool:
        before = self.found
        self.found |= states
        if self.found == before:
            return False
        if self.trail is not None:
            self.trail.append(self.found)
        return True

    def _heard(self) -> bool:
        """What all parts hear, until nothing waits; whether something is new."""
        new = False
        for states in self.settling.heard():
            new |= self._add(states)
        return new

    def note_rows(self) -> None:
        """The rows of commands that are taken; a leap does not tell them apart."""
        for actions in self.actions.by_path.values():
            for action in actions:
                self.settling.note(action, self.found)

    # ------------------------------------------------------------------ what is wrong

    def _count_transitions(self) -> None:
        nodes = self.diagrams.size(self.found)
        if nodes * len(self.network.commands) <= _COUNTABLE:
            self.transitions = moves(self.diagrams, self.found)

    def _look(self) -> None:
        """Each breach, and a run to it."""
        broken = [
            (one.said(self._status(states)), states)
            for one in self.network.forbidden
            for states in self._parts(one)
            if states != self.diagrams.false
        ]
        self._trace(broken)

    def _trace(self, broken: list[tuple[tuple[str, str, str], Set]]) -> None:
        if broken:
            rings = Rings(self.diagrams, self.actions, self._trail)
            for breach in rings.breaches(broken):
                self.breaches.setdefault((breach.rule, breach.step), breach)
                self.shortest &= rings.shortest

    def _trail(self) -> list[Set]:
        """What a second search finds, set by set, one command at a time."""
        again = _Exploring(self.actions, self.limit)
        again.trail = [again.found]
        again._saturate("")
        return again.trail

    def _status(self, states: Set) -> str:
        return state_of(self.network, self.diagrams.pick(states)).status.value

    def _parts(self, one: Forbidden) -> Iterator[Set]:
        """Where it is so; parted by the run's status where its words hang on that."""
        states = self.found & self.diagrams.guard(one.guard)
        if states == self.diagrams.false or set(one.sayings) == {""}:
            yield states
            return
        field = self.network.fields[0]
        clean = self.diagrams.true
        for v, automaton in enumerate(self.network.fields[: len(self.network.machine.automata)]):
            fine = frozenset(x for x, code in enumerate(automaton.codes) if code not in BROKEN)
            clean &= self.diagrams.literal(v, fine)
        for x in range(len(field.values)):
            here = states & self.diagrams.literal(0, frozenset({x}))
            yield here & clean
            yield here & ~clean

    def _rest(self) -> None:
        """I4: from every state a run can still come to rest (AG EF rest)."""
        if Driving(self.leaps, self.settling, self._inside).rest(self.found):
            return
        diagrams, false = self.diagrams, self.diagrams.false
        rests = self.found & diagrams.guard(self.network.rest)
        plain = [x for path in sorted(self.actions.by_path) for x in self.actions.by_path[path]]
        while True:
            before = rests
            for action in self.actions.internal:
                self.meter.tick()
                rests |= diagrams.before(rests, action.guard, action.assigned)
            for action in plain:
                self.meter.tick()
                rests |= diagrams.before(rests, action.guard, action.assigned) & self.found
            if self.found & ~rests == false:
                return
            if rests == before:
                break
        if ("I4", "") not in self.breaches:
            self._trace([(("I4", "", _LIVELOCK), self.found & ~rests)])

    # ------------------------------------------------------------------ the result

    def proved(self, *, complete: bool, interrupted: bool) -> Proved:
        """What was seen until now."""
        diagrams = self.diagrams
        automata = range(len(self.network.machine.automata))
        values = local_values(diagrams, self.found, automata)
        reached = [frozenset(self.network.fields[v].codes[x] for x in values[v]) for v in automata]
        return Proved(
            states=diagrams.count(self.found),
            transitions=self.transitions,
            depth=None,
            complete=complete,
            interrupted=interrupted,
            breaches=tuple(self.breaches.values()),
            taken=frozenset(self.settling.taken),
            reached=tuple(reached),
            backend=NAMES[diagrams.backend],
            nodes=diagrams.size(self.found),
            shortest=self.shortest,
        )


def _parts_of(network: Network) -> dict[str, list[str]]:
    """By the path of a block, or "" for all: the automata directly in it."""
    found: dict[str, list[str]] = {}
    paths = [field.name for field in network.fields if not field.name.startswith(("@", "~"))]
    known = set(paths)
    for path in paths:
        around = path.rpartition("/")[0]
        while around and around not in known:
            around = around.rpartition("/")[0]
        found.setdefault(around, []).append(path)
    return found
