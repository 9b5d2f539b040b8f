"""`check`: exact counts, the weakest contracts, shortest counterexamples, honest verdicts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from saga_fsm import Contract, Path, Retry, Saga, check, compile_saga, pivot, step
from saga_fsm.errors import PropertyViolationError
from saga_fsm.examples import fulfilment
from saga_fsm.product._environment import UNDONE, of_whole, told
from tests.reference import REFERENCES, C, P, R, Reference, act, undo


FAST = [one for one in REFERENCES if one.product[0] < 4000]


@pytest.mark.parametrize("reference", FAST, ids=lambda one: one.text)
def test_reference_sagas_are_safe_with_exact_counts(reference: Reference) -> None:
    """Each reference saga is safe under all faults, with the specified states, moves and depth."""
    report = check(reference.make())
    assert report.verdict == "safe", str(report)
    assert (report.states, report.transitions, report.depth) == reference.product


@pytest.mark.heavy
def test_the_largest_example_comes_to_its_end() -> None:
    """Sixteen steps with copies beside a nested saga: half a million states, all of them safe."""
    report = check(fulfilment.saga)
    assert report.verdict == "safe", str(report)
    assert (report.states, report.transitions, report.depth) == (516_764, 2_116_455, 31)


def with_an_operator(*of: Any, **options: Any) -> Any:
    """Let an operator resolve the failed undo of a whole too, which machine.md 6 does not play."""
    yield from of_whole(*of, **options)
    path, local, _ = of
    if options["up"] and local == "whole_failed":
        yield told("resolve", path, "an operator resolves it", UNDONE, "compensated")


@pytest.mark.parametrize("figures", [(677, 1781, 15), (3536, 14533, 14)])
def test_an_operators_word_on_a_whole_reaches_nothing_new(
    figures: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resolving the undo of a whole adds moves and no state: trying again comes to the same."""
    (reference,) = [one for one in REFERENCES if one.product == figures]
    monkeypatch.setattr("saga_fsm.product._world.of_whole", with_an_operator)
    report = check(reference.make())
    assert (report.verdict, report.states, report.depth) == ("safe", figures[0], figures[2])
    assert report.transitions > figures[1]


@pytest.mark.parametrize(
    ("contract", "rule", "tokens"),
    [
        (Contract(sticky=True, fenced=True), "I6", ["start", "done(a)", "~lands_again(a)"]),
        (
            Contract(idempotent=True, sticky=True),
            "I2",
            ["start", "transient(a)", "compensated(a)", "~lands(a)"],
        ),
    ],
)
def test_a_broken_promise_has_its_shortest_run(
    contract: Contract, rule: str, tokens: list[str]
) -> None:
    """Without a promise that is needed, the shortest run shows what happens."""
    report = check(Saga("s", C("a"), contract=contract))
    assert report.verdict == "unsafe"
    found = next(finding for finding in report.findings if finding.rule == rule)
    assert found.path is not None
    assert [move.token for move in found.path.moves] == tokens


def test_idempotent_and_fenced_is_enough_to_be_undone() -> None:
    """A compensatable step needs no memory of rejections: it is undone after them too."""
    assert check(Saga("s", C("a"), contract=Contract(idempotent=True, fenced=True))).ok


def test_idempotent_and_sticky_is_enough_for_a_pivot() -> None:
    """A pivot needs no fence."""
    assert check(Saga("s", P("p"), contract=Contract(idempotent=True, sticky=True))).ok


def test_a_counterexample_replays_from_its_text() -> None:
    """A finding's path goes through text and the machine, and says what changed."""
    saga = Saga("s", C("a"))
    report = check(saga)
    path = next(finding.path for finding in report.findings if finding.path is not None)
    again = Path.decode(path.encode())
    assert again.events == path.events
    moves = compile_saga(saga).replay(again.events)
    assert all(move.ignored is None for move in moves)
    assert any("lands" in move.says for move in path.moves)
    with pytest.raises(PropertyViolationError, match="landed twice") as raised:
        report.assert_ok()
    assert str(raised.value).count(path.encode()) == 1
    assert raised.value.path == path


def test_a_search_cut_short_is_incomplete() -> None:
    """Over the limit, and under fewer faults, a saga is never called safe."""
    saga = REFERENCES[2].make()
    cut = check(saga, limit=50)
    assert (cut.verdict, cut.ok) == ("incomplete", False)
    fewer = check(saga, without={"crash", "second_owner"})
    assert (fewer.verdict, fewer.ok) == ("incomplete", False)
    assert fewer.states < check(saga).states
    with pytest.raises(ValueError, match="second_owner"):
        check(saga, without={"rain"})


def test_a_report_as_json() -> None:
    """The JSON has a schema number, the verdict and encoded paths."""
    plain = json.loads(check(Saga("s", C("a"))).to_json())
    assert plain["schema"] == 1
    assert plain["verdict"] == "unsafe"
    assert any((finding["path"] or "").startswith("s:") for finding in plain["findings"])


def rules(saga: Saga[Any, Any], level: str = "error") -> set[str]:
    """The static rules that a check finds at a level."""
    return {x.rule for x in check(saga).findings if x.level == level and x.rule[0] == "W"}


PROMISED = Contract(idempotent=True, sticky=True, fenced=True)


def test_w5_a_pivot_in_doubt_must_be_resolvable() -> None:
    """W5: a bare pivot is an error, a queried or guarded one is not."""
    assert "W5" in rules(Saga("s", pivot(act, name="p")))
    assert "W5" not in rules(Saga("s", pivot(act, name="p"), contract=PROMISED))


def test_w6_what_is_retried_is_idempotent() -> None:
    """W6: a retried step without the promise is an error, one that is asked once is not."""
    once = Retry(attempts=1)
    assert "W6" in rules(Saga("s", C("a", retry=Retry(attempts=2), compensation_retry=once)))
    assert "W6" in rules(Saga("s", C("a")))
    assert "W6" not in rules(Saga("s", C("a", compensation_retry=once)))


def test_w7_an_undo_accepts_no_result() -> None:
    """W7: a compensation annotated with a result alone is an error; with None it is not."""

    def strict(ctx: Any, result: int) -> None:
        """Take a number."""

    def tolerant(ctx: Any, result: int | None) -> None:
        """Take a number or nothing."""

    assert "W7" in rules(Saga("s", step(act, compensate=strict), contract=PROMISED))
    assert "W7" not in rules(Saga("s", step(act, compensate=tolerant), contract=PROMISED))
    assert "W7" not in rules(Saga("s", step(act, compensate=undo), contract=PROMISED))


def test_w8_and_w11_are_warnings() -> None:
    """W8 and W11 warn: no fence; neither timeout nor deadline."""
    assert rules(Saga("s", C("a")), "warning") == {"W8", "W11"}
    assert rules(Saga("s", C("a"), contract=PROMISED, deadline=60.0), "warning") == set()


def test_the_weakest_contracts() -> None:
    """Required: idempotent and fenced to be undone, idempotent and sticky to decide, idempotent."""
    saga = Saga("s", C("a"), P("p"), R("r"), contract=Contract(idempotent=True))
    report = check(saga)
    assert report.required == {
        "a": Contract(idempotent=True, fenced=True),
        "p": Contract(idempotent=True, sticky=True),
        "r": Contract(idempotent=True),
    }
    assert report.missing == {"a": {"fenced"}, "p": {"sticky"}}


@pytest.mark.parametrize("limit", [0, -1, "many", 1.5])
def test_a_limit_that_is_no_number_of_states_is_refused(limit):
    """Before anything is searched, with what would have been right."""
    with pytest.raises(ValueError, match="Give a number of states, 1 or more"):
        check(REFERENCES[0].make(), limit=limit)
