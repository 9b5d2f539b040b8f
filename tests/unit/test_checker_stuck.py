"""I3: in STUCK exactly what is open is listed, and everything else is what it should be."""

from __future__ import annotations

from typing import Any

import pytest

from saga_fsm import (
    SKIP,
    Saga,
    alternatives,
    check,
    choice,
    compile_saga,
    each,
    parallel,
    retriable,
)
from saga_fsm.checker._search import Explored, graph_of, search
from saga_fsm.definition.layout import lay_out
from saga_fsm.machine import Automaton, Machine, State
from saga_fsm.product import network_of
from tests.reference import BOUNDED, GUARDED, QUERIED, C, O, P, R, act, ask, chooser, several, undo


def B(name: str) -> Any:
    """Make a retriable step that gives up at last."""
    return retriable(act, name=name, retry=BOUNDED)


def saga(*blocks: Any, contract: Any = GUARDED) -> Saga[Any, Any]:
    """Make a saga of these blocks."""
    return Saga("s", *blocks, contract=contract)


# Each with every path that can be owed in it.
SAGAS: dict[str, tuple[Saga[Any, Any], set[str]]] = {
    "sequence": (saga(C("a"), C("b"), P("p"), B("r")), {"a", "b", "p", "r"}),
    "nested": (saga(C("z"), Saga("n", C("a"), C("b")), C("e")), {"z", "n/a", "n/b", "e"}),
    "nested, beside": (saga(parallel(Saga("n", C("a"), C("b")), C("c"))), {"n/a", "n/b", "c"}),
    "alternatives": (
        saga(C("z"), alternatives(C("a"), C("b")), P("p")),
        {"z", "a", "b", "p"},
    ),
    "alternatives in the tail": (
        saga(P("p"), alternatives(Saga("aqr", C("a"), P("q"), B("r")), C("b"), B("t"))),
        {"p", "aqr/a", "aqr/q", "aqr/r", "b", "t"},
    ),
    "copies": (
        saga(C("z"), each(several, C("a"), max_items=2, concurrent=True), P("p")),
        {"z", "a[0]", "a[1]", "p"},
    ),
    "a whole": (
        saga(C("z"), Saga("n", C("a"), P("p"), B("r"), compensate=undo), C("e")),
        {"z", "n", "n/a", "n/p", "n/r", "e"},
    ),
    "a whole, beside": (
        saga(parallel(Saga("n", C("a"), P("p"), R("r"), compensate=undo), C("c"))),
        {"n", "n/a", "n/p", "c"},
    ),
    "a whole in a whole": (
        saga(
            Saga("o", Saga("n", C("a"), P("q"), compensate=undo), P("p"), compensate=undo), C("c")
        ),
        {"o", "o/n", "o/n/a", "o/n/q", "o/p", "c"},
    ),
    "a whole as an alternative": (
        saga(alternatives(Saga("n", C("a"), C("b"), compensate=undo), C("c")), P("p")),
        {"n", "n/a", "n/b", "c", "p"},
    ),
    "a choice in the tail": (
        saga(P("p"), choice(chooser, yes=B("b"), otherwise=SKIP)),
        {"p", "chooser", "b"},
    ),
    "a label called stuck": (
        saga(P("p"), choice(lambda _: "stuck", stuck=B("b"), otherwise=SKIP), B("r")),
        {"p", "choice", "b", "r"},
    ),
    "queried": (saga(parallel(C("a", query=ask), C("b", query=ask)), contract=QUERIED), {"a", "b"}),
    "readers in the tail": (saga(C("a"), P("p"), O("o", retry=BOUNDED)), {"a", "p", "o"}),
}
LISTED = [(name, path) for name, (_, paths) in SAGAS.items() for path in sorted(paths)]


class Forgets(Machine):
    """Does not list one path."""

    path = ""

    def owed_to(self, automaton: Automaton, code: int, *, parent: bool) -> str | None:
        """Nothing, of one."""
        found = super().owed_to(automaton, code, parent=parent)
        return None if automaton.path == self.path else found


class Invents(Machine):
    """Lists one path always."""

    path = ""

    def owed_to(self, automaton: Automaton, code: int, *, parent: bool) -> str | None:
        """An undo, of one."""
        found = super().owed_to(automaton, code, parent=parent)
        return "compensate" if automaton.path == self.path else found


def explore(of: Saga[Any, Any], kind: type[Machine], path: str) -> Explored:
    """Search a saga's machine that lists what is owed in a way of its own."""
    sound = compile_saga(of)
    machine = kind(sound.name, sound.automata, sound.rows)
    vars(machine)["path"] = path
    return search(network_of(lay_out(of), machine), limit=30_000)


def i3(explored: Explored) -> set[str]:
    """The steps at which I3 is broken."""
    return {breach.step for breach in explored.breaches if breach.rule == "I3"}


def reached(of: Saga[Any, Any]) -> list[State]:
    """The states of the machine that the search reaches."""
    layout, machine = lay_out(of), compile_saga(of)
    found = graph_of(network_of(layout, machine), limit=30_000)
    return [found.state(number) for number in range(len(found.nodes))]


@pytest.mark.parametrize("name", SAGAS)
def test_what_is_listed_is_what_is_open(name: str) -> None:
    """In every kind of block a sound table lists exactly what the definition says is open."""
    report = check(SAGAS[name][0])
    rules = {x.rule for x in report.findings if x.level == "error"}
    assert not {rule for rule in rules if rule[0] == "I"}, str(report)


@pytest.mark.parametrize(("name", "path"), LISTED)
def test_what_is_not_listed_is_found(name: str, path: str) -> None:
    """A machine that forgets one path breaks I3 there, and nowhere else."""
    of, _ = SAGAS[name]
    broken = i3(explore(of, Forgets, path))
    assert broken == {path}


@pytest.mark.parametrize(("name", "path"), LISTED)
def test_what_is_listed_for_nothing_is_found(name: str, path: str) -> None:
    """A machine that always lists one path breaks I3 where nothing is owed for it."""
    of, _ = SAGAS[name]
    stuck = [state for state in reached(of) if state.unresolved]
    always = all(path in state.unresolved for state in stuck)
    assert (path in i3(explore(of, Invents, path))) is not always


def test_what_can_be_owed() -> None:
    """What is owed in some reachable state of each saga is what is named here, and all of it."""
    for name, (of, paths) in SAGAS.items():
        owed = {path for state in reached(of) for path in state.unresolved}
        assert owed == paths, name
