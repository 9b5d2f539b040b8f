"""
Whether a saga is safe, whatever goes wrong.

``check`` searches the product of the compiled machine and its participants, with every fault at
every step: requests and answers that are lost, late or doubled, rejections, failing compensations,
crashes and takeovers anywhere, cancels, operators. What is declared in a contract is assumed.

``interference`` searches nothing: it reads off the definitions which sagas of many may harm each
other where they meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._engines import Subject, explore
from saga_fsm.checker._flow import flow
from saga_fsm.checker._ignored import of_table
from saga_fsm.checker._interference import Interference, Meeting, interference
from saga_fsm.checker._never import NeverTaken, Untaken
from saga_fsm.checker._promises import promises
from saga_fsm.checker._report import Answers, Finding, Report
from saga_fsm.checker._search import Explored
from saga_fsm.checker._weakest import Needs
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.definition.layout import Layout, PlacedEach, lay_out
from saga_fsm.machine import Machine
from saga_fsm.ports import Progress
from saga_fsm.product import Network, network_of
from saga_fsm.properties import Property


if TYPE_CHECKING:
    from saga_fsm.checker._clashes import Together
    from saga_fsm.checker._properties import Asked
    from saga_fsm.checker._together import Runs

__all__ = [
    "Finding",
    "Interference",
    "Meeting",
    "NeverTaken",
    "Report",
    "check",
    "interference",
]

_FAULTS = (
    "reject",
    "transient",
    "lost_request",
    "lost_reply",
    "late",
    "duplicate",
    "failing compensation",
    "cancel",
    "crash",
    "second_owner",
)
# A takeover is a crash whose calls may still land (semantics.md 1.10): one switch for both.
_REMOVABLE = frozenset({"crash", "second_owner"})
_LEVELS = ("error", "warning", "info")
_FAIRNESS = (
    "of states: what can happen again and again does happen at last, so a call that is retried "
    "for ever is answered"
)


def check(  # noqa: PLR0913 - what is checked, and how far
    saga: Saga[Any, Any, Any],
    *,
    without: Iterable[str] = (),
    limit: int = 5_000_000,
    memory: int | None = None,
    engine: str = "auto",
    properties: Iterable[Property] = (),
    instances: int = 1,
    against: Sequence[Saga[Any, Any, Any]] = (),
    progress: Progress | None = None,
) -> Report:
    """
    Check a saga under every fault at every step.

    "Safe" means that every run ends completed, compensated, or stuck with an exact list of what is
    owed, whatever goes wrong, as long as each participant keeps what its contract promises.

    A finding names its rule. Of the definition: W5 a pivot in doubt, W6 retries that are not
    idempotent, W7 a compensation that needs a result, W8 what may be unknown, W10 results that are
    read too early, W11 no timeout, W12 patience that ends or does not, W13 writes that collide, W15
    size. Of runs: I1 to I3 what stands when a run is completed, compensated, stuck; I4 a rest that
    nobody ends; I5 order; I6 twice; I7 the point of no return; I9 ends that do not stay; I10 events
    nobody explains; I11 locks. "P:" and its name: a property that was asked for. W16 is found by
    ``diff`` alone: it takes two versions.

    The cost is the number of reachable states of machine x participants: parallel branches
    multiply. A search that the limit or an interrupt cuts short is "incomplete", never "safe"; a
    breach that it has found until then is one all the same.

    Args:
        saga: what to check.
        without: faults to leave out, of "crash" and "second_owner"; the verdict is then at best
            "incomplete".
        limit: the largest number of states.
        memory: about how many bytes the search may take; None for as many as there are.
        engine: "scout" goes state by state, nearest first, and has the shortest run soonest;
            "explicit" takes whole levels at once, by NumPy; "symmetric" takes branches that are
            alike for one another and counts them all; "reduced" looks at as little as decides all
            rules, by symmetry, partial order and what crashes come to; "symbolic" takes sets of
            states (extra ``symbolic``); "compose" looks at each step beside most general others.
            "auto" lets the scout look at some thousands of states, and then at smaller instances:
            runs in which little goes otherwise, which may break a saga of any size soon; where
            nothing was found, the explicit engine looks at more, what is too large for that is
            composed, what cannot be composed is taken as sets of states, where the extra is
            there, and what these grow too large for, and has branches that are alike, is reduced.
        properties: what is to hold besides, made by ``saga_fsm.properties``.
        instances: how many runs of it at once: what they do to each other on the resources that
            their steps declare, and which countermeasures would help (semantics.md 1.9).
        against: other sagas, of each one run beside them.
        progress: called every few thousand states with how far the search is.

    Raises:
        ValueError: an unknown fault in ``without``, an unknown engine, a limit or memory below 1; a
            property that names no step or event of the saga, or whose predicate raises.
        TypeError: something is no property, or a predicate answers neither True nor False; one
            property or saga is given where several may be.
        DefinitionError: something in ``against`` is no saga.
    """
    bounds = Bounds(limit, memory)
    left_out = frozenset(without)
    if unknown := left_out - _REMOVABLE:
        message = f"cannot leave out {sorted(unknown)}: known are {sorted(_REMOVABLE)}"
        raise ValueError(message)
    _several(properties, "properties")
    _several(against, "against")
    layout = lay_out(saga)
    machine = compile_saga(saga)
    network = network_of(layout, machine, crashes=not left_out >= _REMOVABLE)
    asked = _asked(layout, network, properties)
    beside = _beside(saga, instances, against)
    keeping = None if asked is None else asked.keeping
    explored = explore(Subject(layout, network, keeping), engine, bounds, progress)
    answers = Answers()
    if asked is not None:
        answers = asked.answers(bounds, explored=explored, progress=progress)
    together = None
    if beside is not None and not (explored.interrupted or answers.interrupted):
        together = beside.together(limit, progress)
    return _report(saga, machine, _Found(explored, answers, together), left_out, bounds)


def _several(given: object, name: str) -> None:
    if isinstance(given, Property | Saga):
        message = f"{name} is one thing, not several of them\n  Give a list: {name}=[...]."
        raise TypeError(message)


def _beside(
    saga: Saga[Any, Any, Any], instances: int, against: Sequence[Saga[Any, Any, Any]]
) -> Runs | None:
    """The runs that are searched together, known to be sagas before anything is explored."""
    if instances == 1 and not against:
        return None
    from saga_fsm.checker._together import Runs

    return Runs(saga, instances, tuple(against))


class _Found(NamedTuple):
    """All that was found out by searching."""

    explored: Explored
    answers: Answers
    together: Together | None

    @property
    def interrupted(self) -> bool:
        """Whether the user ended one of the searches."""
        together = self.together is not None and self.together.interrupted
        return self.explored.interrupted or self.answers.interrupted or together

    @property
    def complete(self) -> bool:
        """Whether each of them came to its end."""
        together = self.together is None or self.together.complete
        return self.explored.complete and self.answers.decided and together


def _asked(layout: Layout, network: Network, properties: Iterable[Property]) -> Asked | None:
    """The properties, every word of them known, before anything is explored."""
    if not (wanted := tuple(properties)):
        return None
    # It needs NumPy, and who asks nothing need not wait for that.
    from saga_fsm.checker._properties import Asked

    return Asked(layout, network, wanted)


def _report(
    saga: Saga[Any, Any, Any],
    machine: Machine,
    found: _Found,
    left_out: frozenset[str],
    bounds: Bounds,
) -> Report:
    """What a search has found, beside what the definition shows, and the verdict on both."""
    explored, answers, together = found
    layout, needs = lay_out(saga), Needs(saga)
    untaken = Untaken(layout, machine, explored) if explored.complete and explored.taken else None
    findings = [*_breaches(explored, machine), *answers.findings]
    findings.extend(() if together is None else together.findings)
    findings.extend((*promises(layout), *flow(layout)))
    interrupted = found.interrupted
    try:
        findings.extend(_lacking(explored, needs))
    except KeyboardInterrupt:
        interrupted = True
    if untaken is not None:
        findings.append(Finding("never taken", "info", "", str(untaken)))
    findings.sort(key=lambda finding: _LEVELS.index(finding.level))
    unsafe = any(finding.level == "error" for finding in findings)
    safe = found.complete and not left_out and not interrupted
    return Report(
        saga=saga.name,
        fingerprint=machine.fingerprint,
        verdict="unsafe" if unsafe else "safe" if safe else "incomplete",
        findings=tuple(findings),
        states=explored.states,
        transitions=explored.transitions,
        depth=explored.depth,
        engine=explored.engine,
        reductions=(*explored.reductions, *answers.notes),
        fairness=_FAIRNESS,
        faults=tuple(fault for fault in _FAULTS if fault not in left_out),
        without=tuple(sorted(left_out)),
        bounds=tuple(_bounded(layout, bounds)),
        limit=bounds.limit,
        memory=bounds.memory,
        short_of=explored.short_of,
        complete=explored.complete,
        interrupted=interrupted,
        together=together,
        needs=needs,
        untaken=untaken,
    )


def _breaches(explored: Explored, machine: Machine) -> Iterator[Finding]:
    """What runs break, and what the table does as it stands."""
    for one in explored.breaches:
        yield Finding(one.rule, "error", one.step, one.message, one.path, shortest=one.shortest)
    for rule, step, text in of_table(machine):
        yield Finding(rule, "error", step, text)


def _lacking(explored: Explored, needs: Needs) -> Iterable[Finding]:
    """
    Missing promises, each with its run; asked for only where something may be wrong.

    What a safe saga requires is searched when somebody asks. Where the search was cut short, the
    run of a missing promise is a breach that it would have come to.
    """
    if explored.interrupted or not (explored.breaches or not explored.complete):
        return ()
    if needs.promised_whole and not explored.breaches:
        return ()
    return (*needs.shown.values(), *map(_not_decided, needs.undecided))


def _not_decided(step: str) -> Finding:
    message = f"what the participant of '{step}' must promise is not decided: too many states"
    return Finding("not decided", "info", step, message)


def _bounded(layout: Layout, bounds: Bounds) -> Iterator[str]:
    yield f"at most {bounds.limit:,} states"
    if bounds.memory is not None:
        yield f"at most {bounds.memory:,} bytes"
    yield "every number of attempts"
    for path, block in layout.decisions.items():
        if isinstance(block, PlacedEach):
            yield f"{path}: 0 to {len(block.body)} items"
