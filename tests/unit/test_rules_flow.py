"""The static rules on data, resources and time: W7, W10, W12, W13, W15; and I11 on locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from saga_fsm import Retry, Saga, Step, alternatives, check, choice, each, parallel, retriable, step
from saga_fsm.checker import Finding
from tests.reference import GUARDED, SKIP, C, P, R, act, undo


if TYPE_CHECKING:
    from nowhere import Voucher


MaybeNumber: TypeAlias = int | None
first: Step[Any, Any, Any, Any] = C("first")


def found(rule: str, *blocks: Any, **options: Any) -> list[Finding]:
    """The findings of one rule."""
    report = check(Saga("s", *blocks, contract=GUARDED, **options), limit=20_000)
    return [finding for finding in report.findings if finding.rule == rule]


def levels(rule: str, *blocks: Any) -> list[tuple[str, str]]:
    """Level and step of the findings of one rule."""
    return [(finding.level, finding.step) for finding in found(rule, *blocks)]


def reads_by_name(ctx: Any) -> Any:
    """Read by text."""
    return ctx.result_of("first")


def reads_by_value(ctx: Any) -> Any:
    """Read by the step itself."""
    return ctx.result_of(first)


def reads_results(ctx: Any) -> Any:
    """Read the mapping."""
    return ctx.results["first"]


def reads_with_default(ctx: Any) -> Any:
    """Read, or not."""
    return ctx.result_of("first", None)


READERS = [reads_by_name, reads_by_value, reads_results]


def S(action: Any, name: str = "reader") -> Any:
    """Make a step that reads."""
    return step(action, name=name, compensate=undo)


@pytest.mark.parametrize("reader", READERS)
def test_w10_a_result_is_there_before_it_is_read(reader: Any) -> None:
    """W10: what is read by name, by value or from the mapping comes before the reader."""
    assert levels("W10", first, S(reader)) == []
    assert levels("W10", S(reader), first) == [("error", "reader")]
    assert levels("W10", parallel(S(reader), first)) == [("error", "reader")]


def test_w10_a_step_that_does_not_exist() -> None:
    """W10: a name that the saga does not have is an error."""
    assert levels("W10", S(reads_by_name)) == [("error", "reader")]


def test_w10_on_every_run() -> None:
    """W10: what only some runs take needs a second argument."""
    maybe = choice(lambda _: True, yes=first, otherwise=SKIP)
    assert levels("W10", maybe, S(reads_by_name)) == [("warning", "reader")]
    assert levels("W10", maybe, S(reads_with_default)) == []
    assert levels("W10", S(reads_with_default), first) == []
    either = alternatives(first, C("b"))
    assert levels("W10", either, S(reads_by_name)) == [("warning", "reader")]


def test_w10_choosers_and_lambdas_read_too() -> None:
    """W10: the function of a choice is held to the same rule."""
    chooses = choice(lambda ctx: ctx.result_of("first"), yes=C("b"), otherwise=SKIP)
    assert levels("W10", chooses, first) == [("error", "choice")]
    assert levels("W10", first, chooses) == []


def test_w10_copies_are_one_finding() -> None:
    """W10: three copies that read too early are one finding."""
    copies = each(lambda _: [1, 2, 3], S(reads_by_name), max_items=3)
    assert len(found("W10", copies, first)) == 1


def test_w13_two_branches_write_one_resource() -> None:
    """W13: a warning, unless both say that their writes commute."""
    left, right = C("a", writes="stock"), C("b", writes="stock")
    assert levels("W13", parallel(left, right)) == [("warning", "a")]
    assert levels("W13", left, right) == []
    calm = [C(name, writes="stock", commutes_with="stock") for name in "ab"]
    assert levels("W13", parallel(*calm)) == []
    copies = each(lambda _: [1, 2], left, max_items=2, concurrent=True)
    assert len(found("W13", copies)) == 1


def test_w12_a_retriable_that_gives_up() -> None:
    """W12: a bounded retriable can be stuck, one that goes on cannot."""
    bounded = retriable(act, name="r", retry=Retry(attempts=3))
    assert ("warning", "r") in levels("W12", P("p"), bounded)
    assert ("warning", "r") not in levels("W12", P("p"), R("r"))


def test_w15_says_how_long_it_is() -> None:
    """W15: steps, the longest run, and the dirty window, the pivot included."""
    saga = C("a"), parallel(C("b"), C("c")), P("p"), R("r")
    (finding,) = found("W15", *saga)
    assert finding.level == "info"
    assert "5 steps, 3 compensations, at most 4 one after another" in finding.message
    assert "at most 3 steps" in finding.message


def test_w7_an_alias_is_looked_through() -> None:
    """W7: an alias that takes None is right; a name that cannot be resolved only warns."""

    def by_alias(ctx: Any, result: MaybeNumber) -> None:
        """Take an alias."""

    def unresolved(ctx: Any, result: Voucher) -> None:
        """Take what only a type checker knows."""

    def strict(ctx: Any, result: list[int]) -> None:
        """Take a list alone."""

    assert levels("W7", step(act, compensate=by_alias)) == []
    assert levels("W7", step(act, compensate=unresolved)) == [("warning", "act")]
    assert levels("W7", step(act, compensate=strict)) == [("error", "act")]


def test_i11_a_lock_is_let_go() -> None:
    """I11: in a completed saga a lock was let go by a retriable that names it."""
    taken = C("a", locks="order")
    assert [one.step for one in found("I11", taken, P("p"))] == ["a"]
    release = retriable(act, name="r", locks="order")
    assert found("I11", taken, P("p"), release) == []


def test_i11_is_no_participants_fault() -> None:
    """A lock that is held on asks nobody for another promise."""
    report = check(Saga("s", C("a", locks="order"), P("p"), contract=GUARDED))
    assert report.verdict == "unsafe"
    assert report.missing == {}
    assert report.required == check(Saga("s", C("a"), P("p"), contract=GUARDED)).required
