"""
The families of sagas that the checker's engines are measured on, as users would write them.

Every contract is GUARDED, every fault is on. The states of ``SEQ`` grow with the square of its
steps, those of ``PAR`` eighteenfold a branch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saga_fsm import GUARDED, Contract, Retry, Saga, parallel, step
from saga_fsm.compiler import compile_saga
from saga_fsm.definition.layout import lay_out
from saga_fsm.product import Network, network_of


BOUNDED = Retry(attempts=3, wait_initial=0.1)


def _act(_ctx: Any) -> None:
    """Do nothing."""


def _undo(_ctx: Any, _result: object) -> None:
    """Undo nothing."""


def seq(steps: int, *, contract: Contract = GUARDED) -> Saga[Any, Any, Any]:
    """SEQ(n): so many compensatable steps, one after the other, each retried within bounds."""
    blocks = [step(_act, name=f"s{i}", compensate=_undo, retry=BOUNDED) for i in range(steps)]
    return Saga(f"seq{steps}", *blocks, contract=contract)


def par(
    branches: int, *, length: int = 1, retried: bool = True, contract: Contract = GUARDED
) -> Saga[Any, Any, Any]:
    """PAR(w): so many branches at once, each one step, or a saga of several."""
    options: Any = {"retry": BOUNDED} if retried else {}

    def branch(number: int) -> Any:
        letters = "abcdefghij"[:length] if length > 1 else "b"
        steps = [step(_act, name=f"{x}{number}", compensate=_undo, **options) for x in letters]
        return steps[0] if length == 1 else Saga(f"branch{number}", *steps)

    return Saga(f"par{branches}", parallel(*map(branch, range(branches))), contract=contract)


def network(saga: Saga[Any, Any, Any]) -> Network:
    """What the engines search: the compiled saga beside its world, with every fault."""
    return network_of(lay_out(saga), compile_saga(saga))


def families() -> Iterator[tuple[str, Saga[Any, Any, Any]]]:
    """Each measured saga by its name, the smaller ones of a family first."""
    for steps in (20, 50, 100):
        yield f"SEQ({steps})", seq(steps)
    for branches in (3, 4, 5):
        yield f"PAR({branches})", par(branches)
