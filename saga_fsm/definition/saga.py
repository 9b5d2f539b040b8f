"""The saga: blocks in order, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from saga_fsm.definition.blocks import (
    Alternatives,
    Block,
    Choice,
    Each,
    Given,
    I,
    Input,
    Parallel,
    S,
    Services,
    T,
    blocks_of,
)
from saga_fsm.definition.context import Context
from saga_fsm.definition.contract import Contract
from saga_fsm.definition.kinds import Kind
from saga_fsm.definition.policy import Policy, seconds
from saga_fsm.definition.steps import Step, check_name
from saga_fsm.definition.structure import check_structure
from saga_fsm.definition.where import called_from


# Not slotted: the layout and the machine of a saga are made once and kept on it.
@attrs.frozen(eq=False, init=False, slots=False)
class Saga(Block[Input, Services, Any]):
    """
    A sequence of local transactions with compensations (Garcia-Molina & Salem 1987).

    Args:
        name: its name; in another saga it is a part of the path.
        blocks: steps, sagas and blocks, in order.
        deadline: seconds from the start of the run; turns back only before the pivot.
        contract: for every step that names none.
        policy: for every step that names none; its ``retry`` does not reach pivots and retriables.
        version: for people; the machine's fingerprint is what is compared.
        input: the type of the input, else that of the first action that annotates one.
        compensate: when nested: how it is undone as a whole.

    Raises:
        DefinitionError: the structure breaks W1, W3, W4 or W14.
    """

    name: str
    blocks: tuple[Block[Any, Any, Any], ...]
    deadline: float | None = attrs.field(default=None, validator=seconds)
    contract: Contract | None = None
    policy: Policy | None = None
    version: str = "1"
    input: Any = None
    compensate: Callable[..., object] | None = None
    file: str = ""
    line: int = 0

    def __init__(  # noqa: PLR0913 - the options of a saga, keyword-only
        self,
        name: str,
        *args: Block[Input, Services, Any],
        blocks: tuple[Block[Input, Services, Any], ...] = (),
        deadline: float | None = None,
        contract: Contract | None = None,
        policy: Policy | None = None,
        version: str = "1",
        input: Any = None,  # noqa: A002 - the interface's word
        compensate: Callable[..., object] | None = None,
        file: str = "",
        line: int = 0,
    ) -> None:
        if not file:
            file, line = called_from()
        check_name(name, "a saga", file, line)
        inside = blocks_of((*args, *blocks), f"saga '{name}'")
        self.__attrs_init__(  # type: ignore[attr-defined] # made by attrs
            name, inside, deadline, contract, policy, version, input, compensate, file, line
        )
        check_structure(self)

    @property
    def parts(self) -> tuple[Block[Any, Any, Any], ...]:
        """The blocks, in order."""
        return self.blocks

    def holds(self, kinds: frozenset[Kind]) -> bool:
        """Whether such a step is inside; one that is undone as a whole shows nothing of itself."""
        return self.compensate is None and any(part.holds(kinds) for part in self.blocks)

    def given(self, given: Callable[[Context[I, S, T]], Input]) -> Given[I, S, T]:
        """Nest it with an input of its own, made by ``given(ctx)`` once and journalled."""
        return Given(self, given)

    def __str__(self) -> str:
        """One line a step: ``charge -> charge_card <- refund``."""
        return "\n".join([self.name, *_lines(self.blocks, "  ")])

    def __repr__(self) -> str:
        return f"<Saga {self.name}: {len(self.blocks)} blocks>"


def _lines(blocks: tuple[Block[Any, Any, Any], ...], indent: str) -> list[str]:
    lines = []
    for block in blocks:
        if isinstance(block, Step):
            lines.append(f"{indent}{block}")
        else:
            lines.append(f"{indent}{_title(block)}")
            lines.extend(_lines(block.parts, indent + "  "))
    return lines


def _title(block: Block[Any, Any, Any]) -> str:
    if isinstance(block, Saga):
        return f"saga {block.name}"
    if isinstance(block, Choice):
        return f"choice {block.name}: {' | '.join(label for label, _ in block.branches)}"
    if isinstance(block, Each):
        return f"each {block.name}, at most {block.max_items}"
    if isinstance(block, Given):
        return "given an input of its own"
    names = {Parallel: "parallel", Alternatives: "alternatives"}
    return names[type(block)]  # type: ignore[index]
