"""
CONC(k): k runs of a saga of four steps that meet on two resources with semantic locks.

The family that the explicit engines and Spin are compared on: real ``Saga`` values, compiled, side
by side, with the locks and whatever has to be remembered of reads and writes.
"""

from __future__ import annotations

from typing import Any

import attrs

from saga_fsm import GUARDED, Saga, pivot, retriable, step
from saga_fsm.checker._instances import instances_of
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Instance, Network, network_of, shared


FAULTS = ("isolation", "answers", "all")


def _act(_ctx: Any) -> None:
    """Do nothing."""


def _undo(_ctx: Any, _result: object) -> None:
    """Undo nothing."""


SAGA: Saga[Any, Any] = Saga(
    "conc",
    step(_act, name="reserve", compensate=_undo, reads="stock", writes="stock", locks="stock"),
    step(_act, name="charge", compensate=_undo, reads="credit", writes="credit", locks="credit"),
    pivot(_act, name="ship", reads="stock"),
    retriable(_act, name="approve", locks=("stock", "credit")),
    contract=GUARDED,
)
UNLOCKED: Saga[Any, Any] = attrs.evolve(
    SAGA, blocks=tuple(attrs.evolve(one, locks=()) for one in SAGA.blocks)
)


def conc(
    k: int, *, faults: str = "isolation", locked: bool = True, watched: bool = True
) -> Network:
    """
    The network of so many runs.

    Args:
        k: how many.
        faults: "isolation", what ``check_together`` needs; "answers", every fault but crashes;
            "all".
        locked: with the semantic locks; without them every anomaly is there to be found.
        watched: whether reads and writes are remembered beside the locks.
    """
    saga = SAGA if locked else UNLOCKED
    if faults not in FAULTS:
        raise ValueError(f"faults is {faults!r}: there are {', '.join(FAULTS)}")
    if faults == "isolation":
        return shared(instances_of([saga] * k), watched=watched).network
    layout, machine = lay_out(saga), compile_saga(saga)
    network = network_of(layout, machine, crashes=faults == "all")
    runs = [Instance(f"conc#{n}", layout, network) for n in range(1, k + 1)]
    return shared(runs, watched=watched).network
