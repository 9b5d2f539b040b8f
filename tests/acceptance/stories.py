"""
The sagas of the failure stories, by number, and what `check` has to say of each.

A story's test runs the very saga that is checked here, so that no verdict is about another.
"""

from __future__ import annotations

from typing import Any

import attrs

from saga_fsm import SKIP, Contract, Retry, Saga, choice, parallel, step
from tests.acceptance.effects import A, N, P, R, act, ask, saga, undo


BARE = Contract()
TWICE = Retry(attempts=3, wait_initial=0.5)


def remembers(ctx: Any) -> str:
    """Act, and note which attempt saw which result of A."""
    ctx.services.seen.append((ctx.attempt, ctx.results["A"]))
    return act(ctx)


def reads_nothing(ctx: Any, result: str | None) -> None:
    """Undo with a result that no step produces."""
    ctx.services.calls.append("b")
    ctx.result_of("x")


def acts_on_nothing(ctx: Any) -> str:
    """Act on a result that no step produces."""
    ctx.result_of("x")
    return act(ctx)


def is_wanted(ctx: Any) -> bool:
    """Take the branch."""
    return True


F01 = saga(A("O"), A("P"), A("I"), P("S"))
F03 = saga(A("H"), A("F"), P("C"))
F04 = saga(A("A"), A("B"), P("C"))
F06 = saga(A("A"), A("B", retry=TWICE))
F07 = saga(A("D"), A("C"), A("L", retry=TWICE))
F08 = saga(A("H", timeout=5.0), P("K"))
F08_BARE = saga(A("H", timeout=5.0), P("K"), contract=BARE)
F09 = saga(A("A"), P("B"))
F11 = saga(A("A"), A("B"))
F11_NOT_STICKY = saga(A("A"), A("B"), contract=Contract(idempotent=True, fenced=True))
F12 = saga(A("R", retry=TWICE), P("X"))
F15 = saga(A("A"), P("P"), N("N"))
F15_BARE = saga(A("A"), P("P"), N("N"), contract=BARE)
F17 = F18 = F19 = F20 = F53 = saga(A("A"), A("B"), P("C"))
F21 = saga(A("O"), A("T"), P("A"))
F24 = saga(A("A"))
F25 = saga(A("A"), step(act, name="B", compensate=reads_nothing), P("C"))
F25_FORWARD = saga(A("A"), step(acts_on_nothing, name="B", compensate=undo), P("C"))
F27 = saga(A("A"), step(remembers, name="B", compensate=undo, retry=TWICE))
F28 = saga(A("A"), A("B"))
F31 = saga(A("F"), parallel(A("A"), A("B")), P("J"))
F35 = saga(choice(is_wanted, yes=Saga("inner", A("A"), A("B")), otherwise=SKIP), P("C"))
F37 = saga(A("A"), P("S"), N("N"))
F37_UNDONE = saga(A("A"), A("N"), P("S"))
F42 = saga(A("I"), P("P"))
F44 = saga(A("A"), A("B"), P("C"))
F44_BARE = saga(A("A"), A("B"), P("C"), contract=BARE)
F44_QUERIED = saga(A("A"), A("B", query=ask, contract=Contract(sticky=True)), P("C"))
F46 = F49 = saga(A("A"), A("B"), P("C"), deadline=60.0)
F51 = saga(A("A"), R("L"), P("C"), N("N"), deadline=60.0)
F52 = F31


@attrs.frozen
class Verdict:
    """
    What the checker has to say of a saga.

    Args:
        number: of the story, with a word where a story has several sagas.
        saga: the saga itself.
        findings: rule and step of what it has to find, each by the shortest run given, or by none
            where the definition alone shows it; safe where nothing is to be found.
        missing: what participants do not promise and have to, by step.
    """

    number: str
    saga: Saga[Any, Any]
    findings: dict[tuple[str, str], list[str] | None] = attrs.field(factory=dict)
    missing: dict[str, set[str]] = attrs.field(factory=dict)


VERDICTS = [
    Verdict("F01", F01),
    Verdict("F03", F03),
    Verdict("F04", F04),
    Verdict("F06", F06),
    Verdict("F07", F07),
    Verdict("F08", F08),
    Verdict(
        "F08 bare",
        F08_BARE,
        {("I2", "H"): ["start", "rejected(H)", "compensated(H)", "~lands(H)"]},
        {"H": {"idempotent", "fenced"}, "K": {"idempotent", "sticky"}},
    ),
    Verdict("F09", F09),
    Verdict("F11", F11),
    Verdict("F11 not sticky", F11_NOT_STICKY),
    Verdict("F12", F12),
    Verdict("F15", F15),
    Verdict(
        "F15 bare",
        F15_BARE,
        {("W5", "P"): None},
        {
            "A": {"idempotent", "fenced"},
            "P": {"idempotent", "sticky"},
            "N": {"idempotent"},
        },
    ),
    Verdict("F17", F17),
    Verdict("F18", F18),
    Verdict("F19", F19),
    Verdict("F20", F20),
    Verdict("F21", F21),
    Verdict("F24", F24),
    Verdict("F25", F25, {("W10", "B"): None}),
    Verdict("F25 forward", F25_FORWARD, {("W10", "B"): None}),
    Verdict("F27", F27),
    Verdict("F28", F28),
    Verdict("F31", F31),
    Verdict("F35", F35),
    Verdict("F37", F37),
    Verdict("F37 undone", F37_UNDONE),
    Verdict("F42", F42),
    Verdict("F44", F44),
    Verdict(
        "F44 bare",
        F44_BARE,
        {("I6", "B"): ["start", "done(A)", "done(B)", "~lands_again(B)"]},
        {
            "A": {"idempotent", "fenced"},
            "B": {"idempotent", "fenced"},
            "C": {"idempotent", "sticky"},
        },
    ),
    Verdict("F44 queried", F44_QUERIED, {("W6", "B"): None}, {"B": {"idempotent"}}),
    Verdict("F46", F46),
    Verdict("F49", F49),
    Verdict("F51", F51),
    Verdict("F52", F52),
    Verdict("F53", F53),
]
