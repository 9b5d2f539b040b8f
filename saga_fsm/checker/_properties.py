"""
Whether properties hold, on the graph of all states and moves.

Each is one or two searches backwards: no automaton is built from a formula. Properties that have to
remember the same events, mostly none, share one graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from saga_fsm.checker._adversary import Sides, commands_of, one_side, sides_of
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._evidence import Evidence, counted
from saga_fsm.checker._graphs import Keeping, graph_within
from saga_fsm.checker._lasso import Endless, endless
from saga_fsm.checker._reach import arrows_of, depths, descent, distances
from saga_fsm.checker._report import Answers, Finding
from saga_fsm.checker._search import Explored, Graph
from saga_fsm.checker._truth import Flags, Truths
from saga_fsm.checker._watch import remembered, watched
from saga_fsm.definition.layout import Layout
from saga_fsm.ports import Progress
from saga_fsm.product import Network
from saga_fsm.properties import Property
from saga_fsm.properties._atoms import Remembered
from saga_fsm.properties._predicates import Implies, Joined, Not, Predicate
from saga_fsm.properties._view import Terms


_UNDECIDED = "undecided"
_Group: TypeAlias = tuple[dict[str, Remembered], list[Property]]


class Asked:
    """
    Properties that are asked of one network.

    Args:
        layout: the saga, laid out.
        network: machine and environment.
        properties: what is to hold.

    Raises:
        TypeError: something is no property.
        ValueError: two have one name, or there is no such step or event.
    """

    def __init__(self, layout: Layout, network: Network, properties: Iterable[Property]) -> None:
        self.layout = layout
        self.network = network
        # The search may leave its graph here.
        self.keeping = Keeping()
        # By what they have to remember; every word of theirs is known then.
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._names: set[str] = set()
        terms = Terms(layout, network)
        for one in properties:
            self._take(one, terms)

    def _take(self, one: Property, terms: Terms) -> None:
        if not isinstance(one, Property):
            raise TypeError(
                f"{one!r} is no property\n"
                "  Make one of it, as in always(...) of saga_fsm.properties."
            )
        if one.name in self._names:
            raise ValueError(f"two properties are called '{one}'\n  Give one of them a name=.")
        self._names.add(one.name)
        try:
            memory = remembered(one.predicates, terms)
            for name in one.adversarial:
                terms.occasion(name)
            _spelled(one.predicates, Terms(self.layout, watched(self.network, memory, terms)))
        except ValueError as error:
            raise ValueError(f"property '{one}': {error}") from error
        self._groups.setdefault(tuple(sorted(memory)), (memory, []))[1].append(one)

    def answers(
        self,
        bounds: Bounds,
        *,
        explored: Explored | None = None,
        progress: Progress | None = None,
    ) -> Answers:
        """
        Whether each of them holds.

        Those that remember nothing are asked of the graph that the search has kept, where there is
        one. Else the states are explored once more, once for all properties that have to remember
        the same events: each bit that is remembered at most doubles them. A property by itself
        costs a fraction of that.

        Args:
            bounds: how far to explore; what was not found within is undecided.
            explored: the search for which ``keeping`` was asked to keep its graph.
            progress: is told how far each search is.

        Raises:
            TypeError: a predicate answers neither True nor False.
            ValueError: a predicate raises.
        """
        findings: list[Finding] = []
        notes: list[str] = []
        interrupted = explored is not None and explored.interrupted
        for memory, properties in self._groups.values():
            waiting = list(properties)
            try:
                if not interrupted:
                    judge = self._judge(memory, bounds, explored, progress)
                    notes.extend(_besides(properties, judge.besides))
                    while waiting:
                        findings.extend(judge.answer(waiting[0]))
                        waiting.pop(0)
            except KeyboardInterrupt:
                interrupted = True
            text = f"{_UNDECIDED}: the search was interrupted"
            findings.extend(Finding(f"P:{one}", "warning", "", text) for one in waiting)
        decided = not any(one.message.startswith(_UNDECIDED) for one in findings)
        return Answers(tuple(findings), decided, interrupted, tuple(notes))

    def _judge(
        self,
        memory: dict[str, Remembered],
        bounds: Bounds,
        explored: Explored | None,
        progress: Progress | None,
    ) -> _Judge:
        graph = None if explored is None or memory else self.keeping.graph(explored)
        besides = "" if graph is not None else _why(memory, explored)
        if graph is None:
            network = watched(self.network, memory, Terms(self.layout, self.network))
            graph = graph_within(network, bounds, progress)
        # Over the limit it is the limit that has cut it short.
        short_of = "limit" if len(graph.nodes) > bounds.limit else "memory"
        terms = Terms(self.layout, graph.cores.network)
        return _Judge(graph, terms, short_of=short_of, besides=besides)


def _why(memory: dict[str, Remembered], explored: Explored | None) -> str:
    """Why a graph has to be explored for properties alone."""
    if memory:
        return "they remember what has happened"
    if explored is not None and explored.short_of == "found":
        return "the search ended where something was found"
    return f"the engine '{explored.engine}' keeps no graph" if explored is not None else "no search"


def _besides(properties: Sequence[Property], why: str) -> Iterator[str]:
    if why:
        said = ", ".join(f"P:{one}" for one in properties)
        yield f"explored once more for {said}: {why}"


def _spelled(predicates: Sequence[Predicate], terms: Terms) -> None:
    """Each atom finds its fields: before anything is explored."""
    for one in predicates:
        for leaf in one.leaves():
            leaf.condition(terms)


class _Judge:
    """
    The answers about one graph.

    Args:
        graph: of all states, or as many as were found.
        terms: the words for them.
        short_of: the bound that has cut it short, if it is not complete.
        besides: why it was explored besides the search, if it was.
    """

    def __init__(
        self, graph: Graph, terms: Terms, *, short_of: str = "limit", besides: str = ""
    ) -> None:
        self.graph = graph
        self.short_of = short_of
        self.besides = besides
        self.terms = terms
        self.truths = Truths(graph, terms)
        self.arrows = arrows_of(graph)
        self.depth = depths(graph)
        self.looked = np.arange(len(graph.nodes)) < len(graph.ends)
        self._sides: dict[tuple[str, ...], Sides] = {}

    def answer(self, one: Property) -> Iterator[Finding]:
        """What is to be said about a property."""
        self.truths.owner = one.name
        claims = [self.truths.of(predicate) for predicate in one.predicates]
        yield getattr(self, f"_{one.operator}")(one, *claims)
        yield from self._vacuous(one, claims)

    # ------------------------------------------------------------------ one by one

    def _always(self, one: Property, p: Flags) -> Finding:
        return self._safe(one, ~p, f"'{one.predicates[0]}' is false")

    def _never(self, one: Property, p: Flags) -> Finding:
        return self._safe(one, p, f"'{one.predicates[0]}' is true")

    def _safe(self, one: Property, bad: Flags, text: str) -> Finding:
        found = np.flatnonzero(bad)
        if not len(found):
            return self._holds(one)
        # Nearest first: the first is a shortest one.
        evidence = self._evidence(one, self._to(int(found[0])))
        notes = self._inevitable(bad, evidence.numbers)
        return self._fails(one, evidence, f"{text} {evidence.when()}", notes)

    def _reachable(self, one: Property, p: Flags) -> Finding:
        found = np.flatnonzero(p)
        if len(found):
            evidence = self._evidence(one, self._to(int(found[0])))
            text = f"is reached {evidence.when()}; {self._under(one)}"
            return Finding(f"P:{one}", "info", "", text, evidence.path, evidence.notes)
        if not self.graph.complete:
            return self._undecided(one)
        return Finding(f"P:{one}", "error", "", f"no state has it; {self._under(one)}")

    def _precedes(self, one: Property, p: Flags, q: Flags) -> Finding:
        way = distances(self.arrows, q & ~p, ~p)
        if way[0] < 0:
            return self._holds(one)
        first, then = one.predicates
        evidence = self._evidence(one, descent(self.arrows, way, 0))
        return self._fails(
            one, evidence, f"'{then}' holds {evidence.when()}, and '{first}' has not"
        )

    def _always_possible(self, one: Property, q: Flags) -> Finding:
        lost = np.flatnonzero(distances(self.arrows, q | ~self.looked) < 0)
        if not len(lost):
            return self._holds(one)
        evidence = self._evidence(one, self._to(int(lost[0])))
        text = f"{evidence.when()} '{one.predicates[0]}' can never hold again"
        return self._fails(one, evidence, text)

    def _eventually(self, one: Property, p: Flags) -> Finding:
        start = np.zeros(len(p), np.bool_)
        start[0] = True
        return self._comes(one, start, p)

    def _leads_to(self, one: Property, p: Flags, q: Flags) -> Finding:
        return self._comes(one, p, q)

    def _comes(self, one: Property, p: Flags, q: Flags) -> Finding:
        sides = self._sides_of(one.adversarial)
        found = endless(p, q, self.arrows, sides, self.looked, self.depth)
        if found is None:
            return self._holds(one)
        evidence = self._evidence(one, self._to(found.start), found)
        return self._fails(one, evidence, evidence.never_comes(one))

    # ------------------------------------------------------------------ words

    def _holds(self, one: Property) -> Finding:
        if not self.graph.complete:
            return self._undecided(one)
        return Finding(f"P:{one}", "info", "", f"holds; {self._under(one)}")

    def _undecided(self, one: Property) -> Finding:
        text = f"{_UNDECIDED}: nothing against it in {self._under(one)}, and there are more"
        if one.operator == "reachable":
            text = f"{_UNDECIDED}: not found in {self._under(one)}, and there are more"
        return Finding(f"P:{one}", "warning", "", f"{text}; a larger {self.short_of}= goes on")

    def _fails(
        self, one: Property, evidence: Evidence, text: str, notes: Sequence[str] = ()
    ) -> Finding:
        message = f"{text}; {self._under(one)}"
        return Finding(f"P:{one}", "error", "", message, evidence.path, (*evidence.notes, *notes))

    def _under(self, one: Property) -> str:
        """How much was looked at, and which runs count."""
        states = counted(len(self.graph.nodes), "state")
        if not one.liveness:
            return f"{states}, every run, fair or not"
        if not one.adversarial:
            return f"{states}, fairness of states"
        return f"{states}, fairness of states but for {', '.join(one.adversarial)}"

    # ------------------------------------------------------------------ runs

    def _to(self, number: int) -> list[int]:
        run = [number]
        while run[-1]:
            run.append(self.graph.parents[run[-1]])
        return run[::-1]

    def _evidence(self, one: Property, run: list[int], found: Endless | None = None) -> Evidence:
        return Evidence.of(self.truths, one, run, found, self._commands(one.adversarial))

    def _commands(self, names: Iterable[str]) -> frozenset[int]:
        return commands_of(self.terms.network, [self.terms.occasion(name) for name in names])

    def _sides_of(self, names: tuple[str, ...]) -> Sides:
        known = self._sides.get(names)
        if known is None:
            commands = self._commands(names)
            known = self._sides[names] = (
                sides_of(self.graph, self.arrows, commands) if commands else one_side(self.arrows)
            )
        return known

    def _inevitable(self, bad: Flags, run: Sequence[int]) -> list[str]:
        """From where on it could not be avoided, if that is before it happened."""
        if not self.graph.complete:
            return []
        # To go on without it for ever, fairly, is to come to where it cannot happen.
        safe = distances(self.arrows, bad) < 0
        escape = distances(self.arrows, safe, ~bad) >= 0
        first = next(number for number, state in enumerate(run) if not escape[state])
        if first == len(run) - 1:
            return []
        where = f"move {first}" if first else "the start"
        return [f"from {where} on it comes at last, whatever happens"]

    # ------------------------------------------------------------------ what is worth little

    def _vacuous(self, one: Property, claims: Sequence[Flags]) -> Iterator[Finding]:
        """What holds for want of an occasion; known when all states are."""
        texts = [*self._trivial(one, claims), *self._unheard(one)] if self.graph.complete else []
        for text in texts:
            yield Finding(f"P:{one}", "warning", "", f"says little: {text}")

    def _trivial(self, one: Property, claims: Sequence[Flags]) -> Iterator[str]:
        names = [f"'{predicate}'" for predicate in one.predicates]
        match one.operator:
            case "leads_to" if not claims[0].any():
                yield f"{names[0]} never holds, so nothing has to follow"
            case "leads_to" if not (claims[0] & ~claims[1]).any():
                yield f"wherever {names[0]} holds, {names[1]} holds already"
            case "precedes" if not claims[1].any():
                yield f"{names[1]} never holds, so nothing has to come before"
            case "eventually" | "reachable" if claims[0][0]:
                yield f"{names[0]} holds at the start"
            case "always":
                yield from self._never_asked(one.predicates[0])
            case _:
                return

    def _never_asked(self, predicate: Predicate) -> Iterator[str]:
        for one in _implications(predicate):
            if not self.truths.of(one.antecedent).any():
                yield f"'{one.antecedent}' never holds, so nothing has to hold with it"

    def _unheard(self, one: Property) -> Iterator[str]:
        for leaf in remembered(one.predicates, self.terms).values():
            if not self.truths.of(leaf).any():
                yield f"no run has a '{leaf.token}'"
        enabled = self._sides_of(one.adversarial).enabled if one.adversarial else frozenset[int]()
        for name in one.adversarial:
            if not enabled & self._commands([name]):
                yield f"'{name}' can never be taken"


def _implications(predicate: Predicate) -> Iterator[Implies]:
    if isinstance(predicate, Implies):
        yield predicate
    elif isinstance(predicate, Joined):
        for part in predicate.parts:
            yield from _implications(part)
    elif isinstance(predicate, Not):
        yield from _implications(predicate.part)
