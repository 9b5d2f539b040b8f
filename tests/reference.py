"""
The reference sagas of the specification, with the figures that any reading of them must give.

Retries: compensatable and read-only steps have none unless bounded, pivots bounded ones, retriables
retry for ever; all compensations are retried within bounds; all contracts GUARDED unless said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from saga_fsm.definition import (
    GUARDED,
    SKIP,
    Contract,
    Retry,
    Saga,
    alternatives,
    choice,
    each,
    parallel,
    pivot,
    readonly,
    retriable,
    step,
)


BOUNDED = Retry(attempts=3, wait_initial=0.1)


def act(ctx: Any) -> None:
    """Do nothing, well."""


def undo(ctx: Any, result: object) -> None:
    """Undo it."""


def ask(ctx: Any) -> None:
    """Say that it landed."""


def several(ctx: Any) -> list[int]:
    """Two items."""
    return [1, 2]


def chooser(ctx: Any) -> bool:
    """Choose yes."""
    return True


def C(name: str, **options: Any) -> Any:
    """Make a compensatable step."""
    return step(act, name=name, compensate=undo, **options)


def P(name: str, **options: Any) -> Any:
    """Make a pivot with bounded retries."""
    return pivot(act, name=name, retry=BOUNDED, **options)


def R(name: str) -> Any:
    """Make a retriable step, retried for ever."""
    return retriable(act, name=name)


def O(name: str, **options: Any) -> Any:  # noqa: E743 - the notation of the specification
    """Make a read-only step."""
    return readonly(act, name=name, **options)


def _saga(*blocks: Any, contract: Contract = GUARDED) -> Saga[Any, Any]:
    return Saga("ref", *blocks, contract=contract)


QUERIED = Contract(idempotent=True, sticky=True)
FENCED = Contract(idempotent=True, fenced=True)


@attrs.frozen
class Reference:
    """One line of the table: rows, the machine's states and moves, the product's three figures."""

    text: str
    make: Callable[[], Saga[Any, Any]]
    rows: tuple[int, int]
    machine: tuple[int, int]
    product: tuple[int, int, int]


def _each(*, concurrent: bool) -> Saga[Any, Any]:
    return _saga(C("z"), each(several, C("a"), max_items=2, concurrent=concurrent), P("p"))


REFERENCES = [
    Reference("C(a)", lambda: _saga(C("a")), (19, 7), (22, 51), (82, 218, 8)),
    Reference("C+(a)", lambda: _saga(C("a", retry=BOUNDED)), (22, 8), (25, 65), (100, 280, 9)),
    Reference("C(a) ; C(b)", lambda: _saga(C("a"), C("b")), (35, 11), (138, 533), (258, 675, 11)),
    Reference("C(a) ; P(p)", lambda: _saga(C("a"), P("p")), (34, 11), (67, 201), (157, 434, 9)),
    Reference(
        "C(a) ; C+(b) ; P(p) ; R(r)",
        lambda: _saga(C("a"), C("b", retry=BOUNDED), P("p"), R("r")),
        (60, 18),
        (386, 1783),
        (399, 1083, 11),
    ),
    Reference(
        "C(a) ; P(p), queried",
        lambda: _saga(C("a", query=ask), P("p", query=ask), contract=QUERIED),
        # The specification counts the same 60 rows as 49 and 11.
        (50, 10),
        (74, 239),
        (164, 465, 10),
    ),
    Reference(
        "C+(a) ; C(b), not sticky",
        lambda: _saga(C("a", retry=BOUNDED), C("b"), contract=FENCED),
        (37, 12),
        (141, 547),
        (210, 549, 12),
    ),
    Reference(
        "O+(o) ; C(a) ; O(q) ; P(p)",
        lambda: _saga(O("o", retry=BOUNDED), C("a"), O("q"), P("p")),
        (44, 18),
        (104, 295),
        (214, 569, 11),
    ),
    Reference(
        "C(a) || C(b)",
        lambda: _saga(parallel(C("a"), C("b"))),
        (35, 11),
        (172, 767),
        (1570, 6448, 12),
    ),
    Reference(
        "C(f) ; (C(a) || C(b)) ; P(j) ; R(r)",
        lambda: _saga(C("f"), parallel(C("a"), C("b")), P("j"), R("r")),
        (73, 21),
        (2209, 14673),
        (2325, 8615, 14),
    ),
    Reference(
        "C(a) ; (P(p) || R(r) || O(o))",
        lambda: _saga(C("a"), parallel(P("p"), R("r"), O("o"))),
        (47, 13),
        (105, 427),
        (265, 885, 11),
    ),
    Reference(
        "C(a) ; x?C(b):SKIP ; P(p)",
        lambda: _saga(C("a"), choice(chooser, yes=C("b"), otherwise=SKIP), P("p")),
        (53, 19),
        (467, 1999),
        (489, 1298, 12),
    ),
    Reference(
        "C(z) ; (C(a) else C(b)) ; P(p)",
        lambda: _saga(C("z"), alternatives(C("a"), C("b")), P("p")),
        (66, 36),
        (2445, 15929),
        (1409, 3838, 14),
    ),
    Reference(
        "P(p) ; (C(a) ; P(q) ; R(r) else C(b) else R(t)) ; R(z)",
        lambda: _saga(
            P("p"),
            alternatives(Saga("aqr", C("a"), P("q"), R("r")), C("b"), R("t")),
            R("z"),
        ),
        (84, 49),
        (2327, 17753),
        (1735, 5061, 15),
    ),
    Reference(
        "C(z) ; each<=2 C(a[i]) ; P(p), concurrent",
        lambda: _each(concurrent=True),
        (70, 24),
        (2664, 16629),
        (2722, 9657, 15),
    ),
    Reference(
        "C(z) ; each<=2 C(a[i]) ; P(p)",
        lambda: _each(concurrent=False),
        (70, 24),
        (2730, 16825),
        (1074, 2820, 14),
    ),
    Reference(
        "C(z) ; {C(a) ; C(b)} ; C(e)",
        lambda: _saga(C("z"), Saga("n", C("a"), C("b")), C("e")),
        (67, 27),
        (4978, 38409),
        (898, 2363, 15),
    ),
    Reference(
        "C(z) ; {C(a) ; P(p) ; R(r)}! ; C(e)",
        lambda: _saga(C("z"), Saga("n", C("a"), P("p"), R("r"), compensate=undo), C("e")),
        (76, 28),
        (546, 2452),
        (677, 1781, 15),
    ),
    Reference(
        "{C(a) ; C(b)} || C(c)",
        lambda: _saga(parallel(Saga("n", C("a"), C("b")), C("c"))),
        (51, 23),
        (1352, 8439),
        (5766, 24298, 15),
    ),
    Reference(
        "{C(a) ; P(p) ; R(r)}! || C(c)",
        lambda: _saga(parallel(Saga("n", C("a"), P("p"), R("r"), compensate=undo), C("c"))),
        (60, 24),
        (775, 3945),
        (3536, 14533, 14),
    ),
    Reference(
        "C(a) ; ({C(b) ; P(p)} || R(r)) ; R(t)",
        lambda: _saga(C("a"), parallel(Saga("n", C("b"), P("p")), R("r")), R("t")),
        (64, 26),
        (397, 1839),
        (417, 1142, 11),
    ),
]
