"""Properties: each operator where it holds and where it does not, with the shortest run."""

from __future__ import annotations

import itertools
import json
from typing import Any

import attrs
import pytest

from saga_fsm import (
    GUARDED,
    SKIP,
    Path,
    Report,
    Saga,
    Status,
    check,
    choice,
    compile_saga,
    draw,
    each,
)
from saga_fsm.checker._bounds import Bounds
from saga_fsm.checker._lasso import _around, bottoms_of
from saga_fsm.checker._properties import Asked
from saga_fsm.checker._search import search
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import network_of
from saga_fsm.properties import (
    Property,
    always,
    always_possible,
    at,
    at_rest,
    event,
    eventually,
    happened,
    implies,
    landed,
    leads_to,
    never,
    precedes,
    predicate,
    reachable,
    started,
    status,
    termination,
    undone,
)
from saga_fsm.properties._view import Terms
from tests.reference import BOUNDED, C, O, P, R, act, chooser, several, undo


SAGA = Saga("s", C("a"), P("p"), contract=GUARDED)


def ended_well(view: Any) -> bool:
    """Whether nothing stands that should not."""
    return view.net("a") == 0 or not view.ended or view.status is Status.COMPLETED


def findings(one: Property, saga: Any = SAGA, **options: Any) -> list[Any]:
    """What a check says of one property, the answer first."""
    report = check(saga, properties=[one], **options)
    found = [x for x in report.findings if x.rule == f"P:{one}"]
    return sorted(found, key=lambda x: x.message.startswith("says little"))


def run_to(found: Any) -> str:
    """The tokens of its path."""
    return str(found.path.encode().partition(" ")[2])


HOLDS = [
    never(landed("p") & undone("a")),
    always(implies(landed("p"), landed("a"))),
    eventually(at_rest),
    leads_to(event("done(a)"), landed("p") | undone("a")),
    precedes("done(a)", "done(p)"),
    precedes(happened("done(a)"), landed("p")),
    always_possible(at_rest),
    termination(),
    termination(adversarial=["retry"]),
    reachable(status("stuck")),
]
FAILS = [
    (never(landed("a") & status("stuck")), "start done(a) transient(p) exhausted(p)"),
    (always(ended_well), "start done(a) transient(p) exhausted(p)"),
    (eventually(landed("p")), "start rejected(a)"),
    (
        leads_to(event("done(a)"), at("p", "started", "done")),
        "start cancel done(a) compensated(a)",
    ),
    (precedes("done(p)", "done(a)"), "start done(a)"),
    (always_possible(status("completed")), "start rejected(a)"),
]


@pytest.mark.parametrize("one", HOLDS, ids=str)
def test_what_holds_says_so_and_under_what(one: Property) -> None:
    """A property that holds is an info finding with the states and the fairness."""
    (found,) = findings(one)
    assert found.level == "info"
    assert ("fairness of states" in found.message) is one.liveness
    assert " states" in found.message


@pytest.mark.parametrize(("one", "tokens"), FAILS, ids=str)
def test_what_fails_has_its_shortest_run(one: Property, tokens: str) -> None:
    """A property that fails is an error with the shortest run, and makes the saga unsafe."""
    report = check(SAGA, properties=[one])
    found = findings(one)[0]
    assert (report.verdict, found.level) == ("unsafe", "error")
    assert run_to(found) == tokens


def test_what_is_reachable_has_a_run_and_what_is_not_has_none() -> None:
    """A witness is the shortest run to it; without one, all states were looked at."""
    (found,) = findings(reachable(status("stuck")))
    assert run_to(found) == "start done(a) transient(p) exhausted(p)"
    (missing,) = findings(reachable(undone("a") & landed("p")))
    assert (missing.level, missing.path) == ("error", None)
    assert "157 states" in missing.message


def test_a_crash_for_ever_is_a_lasso_that_replays() -> None:
    """With crashes at the worst moments a run need not end: round and round, with the mark kept."""
    one = termination(adversarial=["~crash"])
    (found,) = findings(one)
    assert found.level == "error"
    assert "but for ~crash" in found.message
    assert run_to(found).endswith(":loop ~recovered ~crash")
    network = network_of(lay_out(SAGA), compile_saga(SAGA))
    states = [network.initial]
    for move in found.path.moves:
        steps = [network.after(x, states[-1]) for x in network.commands if x.token == move.token]
        states.append(next(x for x in steps if x is not None))
    assert states[-1] == states[found.path.loop]
    assert len(set(states[found.path.loop :])) == 2


def test_a_lasso_is_kept_by_text_report_json_and_picture() -> None:
    """The round is marked wherever the run is told, and read back from its text."""
    report = check(SAGA, properties=[termination(adversarial=["~crash"])])
    found = next(x for x in report.findings if x.rule.startswith("P:termination"))
    assert Path.decode(found.path.encode()).loop == found.path.loop == 5
    assert "again and again" in str(report)
    assert "again and again" in str(found.path)
    plain = next(x for x in json.loads(report.to_json())["findings"] if x["path"])
    assert ":loop" in plain["path"]
    assert plain["notes"] == ["'anything' holds all along this run", *plain["notes"][1:]]
    for picture in (draw(found.path), draw(report)):
        assert "Moves 6 to 7 are repeated for ever" in picture.source


def test_a_status_is_equal_to_its_word_and_to_no_misspelled_one() -> None:
    """A predicate may compare it with text; a word that no status is is an error, not False."""
    (found,) = findings(reachable(lambda view: view.status == "stuck", name="by word"))
    (same,) = findings(reachable(status("stuck")))
    assert run_to(found) == run_to(same)
    with pytest.raises(ValueError, match="no status is called 'stuk'; There are comp"):
        check(SAGA, properties=[never(lambda view: view.status == "stuk", name="misspelled")])
    assert Status.STUCK != "completed"
    assert {"stuck": 1}.get(str(Status.STUCK.value)) == {Status.STUCK: 1}.get("stuck")  # type: ignore[call-overload]


def test_the_run_says_where_each_predicate_holds() -> None:
    """Of what is joined each part is told, move by move, and from where on it was decided."""
    (found,) = findings(leads_to(event("done(a)"), landed("p") | at("p", "started")))
    assert found.path is not None
    assert found.notes == (
        "'done(a)' holds after move 3",
        "'p landed | p started' holds nowhere on this run",
        "'p landed' holds nowhere on this run",
        "'p started' holds nowhere on this run",
    )
    assert "from move 3 on it is out of reach" in found.message
    (found,) = findings(never(status("compensated")))
    assert found.notes[0] == "'compensated' holds after move 2"
    (found,) = findings(never(at_rest))
    assert found.notes[-1] == "from the start on it comes at last, whatever happens"


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (leads_to(at("a", "stuck"), at_rest), "'a stuck' never holds"),
        (leads_to(at_rest, at_rest), "holds already"),
        (always(implies(at("a", "stuck"), landed("a"))), "'a stuck' never holds"),
        (always(landed("a") | ~landed("a") & implies(at("a", "stuck"), at_rest)), "never holds"),
        (precedes("done(a)", at("a", "stuck")), "'a stuck' never holds"),
        (eventually(status("new")), "holds at the start"),
        (reachable(~landed("a")), "holds at the start"),
        (never(event("~lands_again(a)")), "no run has a '~lands_again(a)'"),
        (termination(adversarial=["~lands_again(a)"]), "'~lands_again(a)' can never be taken"),
    ],
    ids=str,
)
def test_what_says_little_is_reported(one: Property, says: str) -> None:
    """An implication that is never asked, or an event that never comes, is a warning."""
    answer, *warnings = findings(one)
    assert answer.level == "info"
    assert any(x.level == "warning" and says in x.message for x in warnings)


def test_what_says_something_has_no_warning() -> None:
    """No property that has an occasion is called empty."""
    assert all(len(findings(one)) == 1 for one in HOLDS)


def test_nothing_holds_by_a_limit() -> None:
    """Cut short, what was not found is undecided, the verdict incomplete; what was found counts."""
    report = check(SAGA, properties=[never(landed("p") & undone("a"))], limit=20)
    (found,) = [x for x in report.findings if x.rule.startswith("P:")]
    assert (found.level, report.verdict) == ("warning", "incomplete")
    assert "undecided" in found.message
    (found,) = findings(precedes("done(p)", "done(a)"), limit=20)
    assert found.level == "error"
    (found,) = findings(eventually(landed("p")), limit=20)
    assert found.level in {"error", "warning"}
    assert all(findings(one, limit=10)[0].level == "warning" for one in HOLDS[:-1])


def test_an_interrupt_leaves_the_rest_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C among the properties ends the check: what was not answered is undecided."""

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("saga_fsm.checker._properties.depths", interrupted)
    report = check(SAGA, properties=HOLDS[:2])
    found = [x for x in report.findings if x.rule.startswith("P:")]
    assert report.interrupted
    assert [x.level for x in found] == ["warning", "warning"]
    assert report.verdict == "incomplete"


def view_of(saga: Any, tokens: str, asked: Any) -> Any:
    """What a function answers in the state after some moves."""
    layout = lay_out(saga)
    network = network_of(layout, compile_saga(saga))
    state = network.initial
    for token in tokens.split():
        after = [network.after(x, state) for x in network.commands if x.token == token]
        state = next(x for x in after if x is not None)
    heard: list[Any] = []

    def here(view: Any) -> bool:
        terms = view._terms
        if all(view._value(f) == x for f, x in enumerate(state)):
            heard.append(asked(view))
        return bool(terms)

    Asked(layout, network, [always(here)]).answers(Bounds(10_000))
    return heard[0]


def test_a_view_says_what_is_true_at_the_participants() -> None:
    """Local states by name, value or function; effects whether the machine knows them or not."""
    step_a = C("a")
    saga = Saga("s", step_a, P("p"), contract=GUARDED)

    def look(view: Any) -> Any:
        return (
            str(view[step_a]),
            view["a"] == "started",
            view["a"] != "done",
            view.landed("a"),
            view.undone(step_a),
            view.net("a"),
            view.started("p"),
            view.up,
            view.ended,
            view.status,
        )

    assert view_of(saga, "start ~lands(a) ~crash", look) == (
        *("started", True, True, True, False, 1, False, False, False),
        Status.RUNNING,
    )
    assert view_of(saga, "start done(a) rejected(p) compensated(a)", look) == (
        *("compensated", False, True, False, True, 0, True, True, True),
        Status.COMPENSATED,
    )


def test_a_saga_that_is_undone_as_a_whole_takes_its_steps_back() -> None:
    """An effect that stands inside a nested saga with its own compensation counts as undone."""
    trip = Saga("n", C("x"), compensate=undo)
    saga = Saga("s", trip, P("p"), contract=GUARDED)
    gone = "start done(n/x) rejected(p) compensated(n)"
    assert view_of(saga, gone, lambda v: (v.net("x"), v.undone("n/x"), v.landed("x"))) == (
        *(0, True),
        False,
    )
    both = [
        always(predicate(lambda v: v.landed("x")) & landed("x") | ~landed("x"), name="one"),
        never(predicate(lambda v: v.undone("x")) & ~undone("x"), name="two"),
        never(undone("x") & ~predicate(lambda v: v.undone("x")), name="three"),
    ]
    report = check(saga, properties=both)
    assert {x.level for x in report.findings if x.rule.startswith("P:")} == {"info"}


ATOMS = [
    (at_rest, lambda v: v.ended and v.up),
    *((status(one), lambda v, one=one: v.status is one) for one in Status),
    (landed("a"), lambda v: v.landed("a")),
    (undone("a"), lambda v: v.undone("a")),
    (started("p"), lambda v: v.started("p")),
    (at("p", "waiting", "stuck"), lambda v: v["p"] in {"waiting", "stuck"}),
]


@pytest.mark.parametrize(("atom", "function"), ATOMS, ids=lambda x: str(x)[:20])
def test_atoms_are_what_the_view_says(atom: Any, function: Any) -> None:
    """Each atom, and its guard, and the guard of its negation, is the view's own answer."""
    saga = Saga("s", C("a", retry=BOUNDED), P("p"), R("r"), O("o"))
    layout = lay_out(saga)
    network = network_of(layout, compile_saga(saga))
    terms = Terms(layout, network)
    guards = [atom.condition(terms), (~atom).condition(terms)]

    def same(view: Any) -> bool:
        wanted = function(view)
        held = [
            any(all(view._value(f) in x for f, x in cube.items()) for cube in guard)
            for guard in guards
        ]
        return held == [wanted, not wanted] and atom(view) is wanted

    (found,) = Asked(layout, network, [always(same)]).answers(Bounds(10_000)).findings
    assert found.level == "info", str(found)


def test_combinations_of_atoms_are_guards_and_functions_are_not() -> None:
    """What is joined of atoms only has a guard, negated too; with a function there is none."""
    layout = lay_out(SAGA)
    terms = Terms(layout, network_of(layout, compile_saga(SAGA)))
    joined = landed("a") & ~at("p", "done") | implies(undone("a"), at_rest)
    assert joined.condition(terms)
    assert (~joined).condition(terms) is not None
    assert (joined & (lambda v: v.up)).condition(terms) is None


def test_an_event_is_now_and_what_happened_stays() -> None:
    """The one is true after its own move only, the other ever after."""
    (found,) = findings(never(event("p", "transient") & ~happened("transient(p)")))
    assert found.level == "info"
    (found,) = findings(never(happened("done(a)") & ~event("done(a)")))
    assert run_to(found) == "start done(a) done(p)"
    (found,) = findings(reachable(event("resolve(p)")))
    assert run_to(found).split()[-1] in {"resolve(p,done)", "resolve(p,not_landed)"}
    (found,) = findings(reachable(event("resolve(p,not_landed)")))
    assert run_to(found).split()[-1] == "resolve(p,not_landed)"


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: [always(lambda v: v.landed("a") or None)], TypeError, "answers None"),
        (lambda: [always(lambda v: v.landed("b"))], ValueError, "'b'"),
        (lambda: [always(lambda v: v["a"] == "doen")], ValueError, "'doen'"),
        (lambda: [always(lambda v: v["a"] != "doen")], ValueError, "'doen'"),
        (lambda: [never(at("a", "doen"))], ValueError, "'doen'"),
        (lambda: [never(landed("b"))], ValueError, "'b'"),
        (lambda: [never(event("doen(a)"))], ValueError, "'doen"),
        (lambda: [never(event("done(b)"))], ValueError, "'b'"),
        (lambda: [eventually(at_rest, adversarial="crash")], ValueError, "'crash'"),
        (lambda: [never(lambda v: v.up and event("done(a)")(v))], ValueError, "not remembered"),
        (lambda: [never(at_rest), never(at_rest)], ValueError, "two properties"),
        (lambda: [at_rest], TypeError, "no property"),
        (lambda: [never(3)], TypeError, "no predicate"),
        (lambda: [never(at_rest and landed("a"))], TypeError, "& | ~"),
        (lambda: [never(at("a"))], ValueError, "no local state"),
        (lambda: [never(event(act))], ValueError, "names no event"),
        (lambda: [never(status("gone"))], ValueError, "gone"),
    ],
)
def test_what_cannot_be_asked_says_why(make: Any, error: Any, says: str) -> None:
    """A wrong word, answer or value is an error that names it, the property and the state."""
    with pytest.raises(error, match=says.replace("|", r"\|")) as raised:
        check(SAGA, properties=make())
    assert len(str(raised.value).splitlines()) <= 3


def test_a_predicate_that_raises_names_property_and_state() -> None:
    """The message has the property, the predicate, the state, and a run that comes there."""
    one = always(lambda v: not v.landed("p") or 1 / 0 > 0, name="odd")
    with pytest.raises(ValueError, match="property 'odd'") as raised:
        check(SAGA, properties=[one])
    said = str(raised.value)
    assert "ZeroDivisionError" in said
    assert "done(p)" in said or "~lands(p)" in said
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_a_readonly_step_has_no_effect() -> None:
    """To ask whether it landed is an error with the remedy."""
    saga = Saga("s", O("o"), C("a"), contract=GUARDED)
    with pytest.raises(ValueError, match="readonly"):
        check(saga, properties=[never(landed("o"))])


def test_blocks_have_their_labels() -> None:
    """A choice and an each are asked for what was chosen; a word that is no label is refused."""
    saga = Saga(
        "s",
        choice(chooser, yes=C("b"), otherwise=SKIP),
        each(several, C("a"), max_items=2),
        contract=GUARDED,
    )
    chosen = predicate(lambda v: v["chooser"] == "yes")
    (found,) = findings(never(at("chooser", "yes") & ~chosen), saga)
    assert found.level == "info"
    (found,) = findings(reachable(at("a", "2") & happened("chose(chooser,yes)")), saga)
    assert run_to(found).split()[-1] == "items(a,2)"
    with pytest.raises(ValueError, match=r"chooser.* 'maybe'"):
        check(saga, properties=[never(at("chooser", "maybe"))])
    with pytest.raises(ValueError, match=r"called 'each'\n.*chooser, b, a, a\[0\]"):
        check(saga, properties=[never(at("each", "2"))])


def test_names_come_from_the_predicates() -> None:
    """A function's name, a lambda's text, an atom's words; or what the user says."""
    assert str(always(ended_well)) == "always(ended_well)"
    assert str(never(lambda v: v.up and v.ended)) == "never(v.up and v.ended)"
    assert str(never(landed(C("a")) & ~at_rest)) == "never(a landed & ~at rest)"
    assert str(never(at_rest, name="mine")) == "mine"
    two = [lambda v: v.up, lambda v: v.ended]
    assert str(never(two[0])).startswith("never(lambda at line ")


def test_properties_are_values() -> None:
    """Equal properties are equal, and none can be changed."""
    assert leads_to("start", at_rest) == leads_to("start", at_rest)
    with pytest.raises(AttributeError):
        termination().name = "other"  # type: ignore[misc]


def test_properties_share_a_graph_where_they_remember_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those without events are asked of the search itself, those with the same of one more."""
    from saga_fsm.checker import _properties

    made: list[int] = []
    real = _properties.graph_within

    def counted(network: Any, *options: Any) -> Any:
        made.append(len(network.fields))
        return real(network, *options)

    monkeypatch.setattr(_properties, "graph_within", counted)
    report: Report = check(SAGA, properties=HOLDS)
    assert len(made) == 3
    assert report.ok
    assert len(report.reductions) == 3
    assert all("they remember what has happened" in one for one in report.reductions)


@pytest.mark.parametrize(
    "missing", ["", "retry", "exhausted", "retry exhausted cancel", "done unknown", "~recovered"]
)
def test_termination_is_i4(missing: str) -> None:
    """With whatever is taken away, it fails where the search finds a livelock, as far away."""
    layout = lay_out(Saga("s", C("a", retry=BOUNDED), R("r"), contract=GUARDED))
    network = network_of(layout, compile_saga(layout.saga))
    left = [x for x in network.commands if x.token.partition("(")[0] not in missing.split()]
    network = attrs.evolve(network, commands=tuple(left))
    livelock = [
        x for x in search(network, limit=10_000).breaches if "never come to rest" in x.message
    ]
    answers = Asked(layout, network, [termination(), always_possible(at_rest)])
    found, possible, *_ = answers.answers(Bounds(10_000)).findings
    assert bool(livelock) is (found.level == "error") is (possible.level == "error")
    assert [len(x.path) for x in livelock] == [len(x.path) for x in [possible] if x.path]


def test_what_is_taken_away_does_make_livelocks() -> None:
    """The comparison above has both answers."""
    seen = set()
    for missing in ("", "~recovered"):
        layout = lay_out(Saga("s", C("a", retry=BOUNDED), R("r"), contract=GUARDED))
        network = network_of(layout, compile_saga(layout.saga))
        left = tuple(x for x in network.commands if x.token != missing)
        network = attrs.evolve(network, commands=left)
        (found,) = Asked(layout, network, [termination()]).answers(Bounds(10_000)).findings
        seen.add(found.level)
    assert seen == {"info", "error"}


def test_a_long_round_is_shown_in_part() -> None:
    """Where a fair round through all moves is long, one short round is shown, and said to be it."""
    crowd = {x: [(y, False) for y in range(9) if y != x] for x in range(9)}
    ahead, part = _around(crowd, 0, set(crowd))
    assert (len(ahead), ahead[-1][0], part) == (2, 0, 9)
    few = {x: [(y, False) for y in range(4) if y != x] for x in range(4)}
    ahead, part = _around(few, 0, set(few))
    states = [0, *(state for state, _ in ahead)]
    assert part == 0
    assert states[-1] == 0
    assert len(set(itertools.pairwise(states))) == 12


def test_the_parts_that_are_never_left() -> None:
    """Of a chain of parts only the last ones count; a state without moves is one."""
    chain = {0: [1, 4], 1: [2], 2: [1, 3], 3: [3], 4: [5], 5: [6], 6: [5], 7: []}
    found = bottoms_of({x: [(y, False) for y in ends] for x, ends in chain.items()})
    assert sorted(map(sorted, found)) == [[3], [5, 6], [7]]
