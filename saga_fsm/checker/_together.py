"""
Several sagas at once: what their runs do to each other where they meet.

Each run is a machine of its own beside its participants, and one of them moves at a time
(``saga_fsm.product.shared`` says when a step reads and writes, and what each anomaly is). For each
anomaly every countermeasure is tried: the changed definitions are searched like these.

An *error* is an outcome that is wrong for ever: a write that is lost, a saga that has completed on
what was taken back, a wait without end, a lock that nobody lets go. A *warning* is what may do harm
and need not: a fuzzy read, since the run can still turn back or go by the later value; a deadlock
that time ends, since the runs then turn back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import attrs

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._clashes import Clash, Together, Trial
from saga_fsm.checker._instances import FAULTS, LEFT_OUT, instances_of, met_by
from saga_fsm.checker._remedies import ISOLATION, REMEDIES, Changed, NotApplicableError, Remedy
from saga_fsm.checker._report import Finding
from saga_fsm.checker._search import Explored, search
from saga_fsm.checker._text import plain
from saga_fsm.checker._traces import Breach, trace
from saga_fsm.definition import Kind, Saga
from saga_fsm.definition.layout import PlacedStep, check_saga
from saga_fsm.errors import DefinitionError
from saga_fsm.path import Path
from saga_fsm.ports import Progress
from saga_fsm.product import Anomaly, Instance, Network, Shared, shared


_LEVEL = {"fuzzy read": "warning"}
_NOTHING = Explored(
    states=0,
    transitions=0,
    depth=0,
    complete=True,
    interrupted=False,
    breaches=(),
    taken=frozenset(),
    reached=(),
)


def check_together(  # noqa: PLR0913 - the options of a check
    saga: Saga[Any, Any, Any],
    *,
    instances: int = 1,
    against: Sequence[Saga[Any, Any, Any]] = (),
    countermeasures: bool = True,
    limit: int = 1_000_000,
    progress: Progress | None = None,
) -> Together:
    """
    Search several runs at once, on the resources that their steps declare.

    The cost is the product of the runs: two of a saga of four steps have some thousand states,
    three some hundred thousand. Each countermeasure is one more search, of the two runs concerned.

    Args:
        saga: what to check.
        instances: how many runs of it.
        against: one run of each of these beside them.
        countermeasures: whether to try, on each anomaly, what may remove it.
        limit: the largest number of states of one search.
        progress: called every few thousand states with how far the search is.

    Raises:
        DefinitionError: one of them is not a saga.
        ValueError: fewer than two runs, two sagas of one name, or a limit below 1.
    """
    return Runs(saga, instances, tuple(against)).together(
        limit, progress, countermeasures=countermeasures
    )


class Runs:
    """
    The runs that are to be searched together.

    Args:
        saga: what to check.
        instances: how many runs of it.
        against: one run of each of these beside them.
    """

    def __init__(
        self, saga: Saga[Any, Any, Any], instances: int, against: tuple[Saga[Any, Any, Any], ...]
    ) -> None:
        _known(saga, instances, against)
        self.sagas = [saga] * instances + list(against)

    def together(
        self, limit: int, progress: Progress | None, *, countermeasures: bool = True
    ) -> Together:
        """Search them."""
        Bounds(limit)
        checking = _Checking(self.sagas, limit, progress)
        return checking.together(countermeasures=countermeasures)


def _known(
    saga: Saga[Any, Any, Any], instances: int, against: tuple[Saga[Any, Any, Any], ...]
) -> None:
    for one in (saga, *against):
        check_saga(one)
    if type(instances) is not int or instances < 1 or instances + len(against) < 2:
        raise ValueError(
            f"instances is {instances!r}, and {len(against)} run beside them\n"
            "  Give two runs or more: instances=2, or another saga in against=."
        )
    names = {one.name: one for one in (saga, *against)}
    if any(names[one.name] is not one for one in (saga, *against)):
        raise ValueError(
            "two different sagas have one name\n  Name each: what is found is said by their names."
        )


class _Checking:
    def __init__(
        self, sagas: Sequence[Saga[Any, Any, Any]], limit: int, progress: Progress | None
    ) -> None:
        self.sagas, self.limit, self.progress = sagas, limit, progress
        self.instances = instances_of(sagas)
        self.names = [one.name for one in self.instances]
        # What was searched with a countermeasure, once for all anomalies that it may remove.
        self._tried: dict[tuple[str, str, tuple[int, ...]], _Searched | str] = {}

    def together(self, *, countermeasures: bool) -> Together:
        """All of it."""
        met = tuple(met_by(self.sagas))
        if not met:
            # Runs that do not meet are as each alone; their product would be long, and say nothing.
            return self._report((), _NOTHING, met, interrupted=False)
        made = _Searched(self.instances, self.limit, self.progress)
        explored, interrupted = made.explored, made.explored.interrupted
        clashes = []
        try:
            for anomaly, breach in made.found():
                clash = self._clash(made.shared.network, anomaly, breach)
                clashes.append(clash)
                if countermeasures and not interrupted:
                    trials = tuple(self._trials(anomaly, made))
                    clashes[-1] = attrs.evolve(clash, trials=trials)
        except KeyboardInterrupt:
            interrupted = True
        clashes.sort(key=lambda clash: clash.level)
        return self._report(clashes, explored, met, interrupted=interrupted)

    def _report(
        self,
        clashes: Sequence[Clash],
        explored: Explored,
        met: tuple[str, ...],
        *,
        interrupted: bool,
    ) -> Together:
        unsafe = any(clash.level == "error" for clash in clashes)
        complete = explored.complete and not interrupted
        return Together(
            runs=tuple(self.names),
            verdict="unsafe" if unsafe else "safe" if complete else "incomplete",
            clashes=tuple(clashes),
            notes=() if met else (_nothing(self.names),),
            shared=met,
            states=explored.states,
            transitions=explored.transitions,
            depth=explored.depth,
            engine="plain breadth-first search" if met else "none: nothing is shared",
            faults=FAULTS,
            left_out=LEFT_OUT,
            bounds=(
                f"at most {self.limit:,} states",
                f"{len(self.names)} runs",
                "every number of attempts",
                "a name in reads=, writes= and locks= is one thing: that both runs mean",
            ),
            limit=self.limit,
            complete=explored.complete,
            interrupted=interrupted,
        )

    def _clash(self, network: Network, anomaly: Anomaly, breach: Breach) -> Clash:
        level = _LEVEL.get(anomaly.rule, "error")
        message = anomaly.message
        if anomaly.rule == "deadlock" and not all(map(self._waits_for_ever, anomaly.steps)):
            level, message = "warning", f"{message}, until the time of one is up"
        path = finished(network, breach.path, anomaly)
        return Clash(anomaly.rule, level, anomaly.resource, anomaly.steps, message, path)

    def _run_of(self, step: str) -> int:
        return next(i for i, name in enumerate(self.names) if step.startswith(f"{name}/"))

    def _waits_for_ever(self, step: str) -> bool:
        """Whether nothing ends a call that is not answered, or that is refused for now."""
        instance = self.instances[self._run_of(step)]
        placed = instance.layout.steps[step.removeprefix(f"{instance.name}/")]
        return endless(instance, placed)

    # ------------------------------------------------------------------ countermeasures

    def _trials(self, anomaly: Anomaly, before: _Searched) -> Iterator[Trial]:
        runs = tuple(sorted({self._run_of(step) for step in anomaly.steps}))
        if len(runs) == 1:
            # Whoever waits for a lock that is never let go.
            others = [i for i in range(len(self.names)) if i not in runs]
            runs = tuple(sorted((*runs, others[0])))
        for remedy in REMEDIES.get(anomaly.rule, ISOLATION):
            says = remedy.says.format(anomaly.resource)
            tried = self._try(remedy, anomaly.resource, runs)
            if isinstance(tried, str):
                yield Trial(remedy.name, says, removes=None, reason=tried)
                continue
            # The pair that is tried has its own numbers; steps are told apart by saga and path.
            left = tried.by_meaning().get(before.meaning(anomaly))
            if left is not None:
                path = finished(tried.shared.network, left[1].path, left[0])
                yield Trial(remedy.name, says, removes=False, path=path)
            elif not tried.explored.complete:
                text = f"cut short at {self.limit:,} states"
                yield Trial(remedy.name, says, removes=None, reason=text)
            else:
                known = before.by_meaning()
                new = {f"{x.rule} on '{x.resource}'" for x in tried.by_meaning() if x not in known}
                yield Trial(remedy.name, says, removes=True, brings=tuple(sorted(new)))

    def _try(self, remedy: Remedy, resource: str, runs: tuple[int, ...]) -> _Searched | str:
        sagas = [self.sagas[i] for i in runs]
        key = (remedy.name, resource, tuple(sorted(id(saga) for saga in sagas)))
        if key not in self._tried:
            self._tried[key] = self._search(remedy, resource, sagas)
        return self._tried[key]

    def _search(
        self, remedy: Remedy, resource: str, sagas: Sequence[Saga[Any, Any, Any]]
    ) -> _Searched | str:
        try:
            changed: Changed = remedy.change(sagas, resource)
        except (NotApplicableError, DefinitionError) as error:
            return f"not tried: {str(error).splitlines()[0]}"
        made = instances_of(changed.sagas)
        searched = _Searched(made, self.limit, self.progress, **changed.options)
        if searched.explored.interrupted:
            raise KeyboardInterrupt
        return searched


class Meaning(NamedTuple):
    """What tells an anomaly from others, when runs are numbered anew: sagas and their steps."""

    rule: str
    undo: bool
    resource: str
    steps: tuple[str, ...]


class _Searched:
    """A search of several runs, and what it found by what it means."""

    def __init__(
        self,
        instances: Sequence[Instance],
        limit: int,
        progress: Progress | None,
        **options: Any,
    ) -> None:
        self.sagas = {one.name: one.layout.saga.name for one in instances}
        self.shared: Shared = shared(instances, **options)
        # That a run comes to rest is checked of each saga alone. Here one can only wait for a lock,
        # of another that waits (a deadlock), has ended (I11), goes on, or is stuck till somebody
        # resolves it: so nothing is asked of rests.
        network = attrs.evolve(self.shared.network, rest=())
        self.explored: Explored = search(network, limit=limit, progress=progress)

    def found(self) -> Iterator[tuple[Anomaly, Breach]]:
        """Each anomaly once, whichever of equal runs has it."""
        return iter(self.by_meaning().values())

    def by_meaning(self) -> dict[Meaning, tuple[Anomaly, Breach]]:
        """The anomalies, those that differ by the number of a run only together."""
        found: dict[Meaning, tuple[Anomaly, Breach]] = {}
        for breach in self.explored.breaches:
            anomaly = self.shared.anomalies[breach.rule, breach.step]
            found.setdefault(self.meaning(anomaly), (anomaly, breach))
        return found

    def meaning(self, anomaly: Anomaly) -> Meaning:
        """What it is about, whichever run of a saga and whichever copy of a step has it."""
        steps = []
        for step in anomaly.steps:
            run, _, path = step.partition("/")
            steps.append(f"{self.sagas[run]}/{plain(path)}")
        if anomaly.rule == "deadlock":
            # Whoever comes first in the circle.
            first = steps.index(min(steps))
            steps = [*steps[first:], *steps[:first]]
        return Meaning(anomaly.rule, anomaly.undo, anomaly.resource, tuple(steps))


def endless(instance: Instance, placed: PlacedStep) -> bool:
    """Whether nothing ends a call that is not answered, or that is refused for now."""
    scope: str | None = placed.scope
    final = placed.kind in {Kind.RETRIABLE, Kind.PIVOT}
    while scope is not None and not final:
        around = instance.layout.scopes[scope]
        if around.deadline is not None:
            return False
        scope = around.parent
    return placed.timeout is None or placed.retry.attempts is None


def finished(network: Network, path: Path, anomaly: Anomaly) -> Path:
    """The run to an anomaly with the last move, which is the anomaly, made."""
    if not anomaly.last:
        return path
    values = network.initial
    states = [values]
    for token in (*(move.token for move in path.moves), None):
        wanted = anomaly.last if token is None else {token}
        steps = (network.after(one, values) for one in network.commands if one.token in wanted)
        values = next(now for now in steps if now is not None)
        states.append(values)
    return trace(network, states)


def _nothing(names: Sequence[str]) -> Finding:
    text = (
        f"{' and '.join(names)} name no resource that the other names: so nothing was found, and "
        "nothing could be. Say in reads=, writes= and locks= what the steps act on"
    )
    return Finding("nothing shared", "warning", "", text)
