"""The saga: blocks in sequence, checked as they are put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

import attrs

from saga_fsm.definition._refuse import check_callable, check_type, said
from saga_fsm.definition._variables import Input, Item, Services
from saga_fsm.definition._where import where
from saga_fsm.definition.blocks import (
    Alternatives,
    Block,
    Choice,
    Each,
    Given,
    Parallel,
    callable_name,
    no_block,
)
from saga_fsm.definition.context import Context
from saga_fsm.definition.contract import CONTRACT, Contract
from saga_fsm.definition.outcomes import Skip
from saga_fsm.definition.policy import POLICY, Policy, seconds
from saga_fsm.definition.steps import may_be_named
from saga_fsm.definition.structure import Facts, check_names, check_order, together
from saga_fsm.errors import DefinitionError, EmptySagaError


__all__ = ["Saga"]

I = TypeVar("I")  # noqa: E741 - input, services, item
S = TypeVar("S")
T = TypeVar("T")
S2 = TypeVar("S2")
T2 = TypeVar("T2")
V = TypeVar("V")


# Not slotted: the layout and the machine of a saga are made once and kept on it.
@attrs.frozen(eq=False, init=False, repr=False, slots=False)
class Saga(Block[Input, Services, Item]):
    """
    Blocks in sequence, with what undoes them; itself a block.

    The structure is checked here, in time linear in the number of blocks.

    Args:
        name: the saga's name; as a block, its path.
        deadline: seconds from the start of the run; turns it back only before the pivot.
        contract: for every step that names none.
        policy: for every option that no step and no nested saga names.
        version: for people; the machine has a fingerprint.
        input: the type of the input; else the annotation of the first action that has one.
        compensate: as a nested saga, undoes the whole.

    Raises:
        DefinitionError: a structure rule is broken: W1, W2, W3, W4 or W14.
    """

    name: str
    blocks: tuple[Block[Any, Any, Any], ...]
    deadline: float | None
    contract: Contract | None
    policy: Policy | None
    version: str
    input: Any
    compensate: Callable[..., Any] | None
    file: str = attrs.field(init=False, default="")
    line: int = attrs.field(init=False, default=0)
    facts: Facts = attrs.field(init=False, default=None)

    def __init__(  # noqa: PLR0913 - the options of a saga
        self,
        name: str,
        *sequence: Block[Input, Services, Item],
        blocks: tuple[Block[Any, Any, Any], ...] = (),
        deadline: float | None = None,
        contract: Contract | None = None,
        policy: Policy | None = None,
        version: str = "1",
        input: Any = None,  # noqa: A002 - the public name
        compensate: Callable[[Context[Input, Services, Item], dict[str, Any]], object]
        | None = None,
    ) -> None:
        # `blocks` by name is what attrs.evolve gives back.
        parts = (*sequence, *blocks)
        make: Any = self.__attrs_init__  # pyright: ignore[reportAttributeAccessIssue] - by attrs
        make(name, parts, deadline, contract, policy, version, input, compensate)
        file, line = where()
        object.__setattr__(self, "file", file)
        object.__setattr__(self, "line", line)
        self._check_values()
        check_names(self)
        check_order(self)
        own = together(parts)
        object.__setattr__(self, "facts", attrs.evolve(own, nested=own.pivot is not None))

    def _check_values(self) -> None:
        at: dict[str, Any] = {"saga": self.name, "file": self.file, "line": self.line}
        if not isinstance(self.name, str):
            raise DefinitionError(
                message=f"{said(self.name)} cannot be the name of a saga",
                rule="W1",
                remedy="Give the name first, as text: Saga(name, ...).",
                file=self.file,
                line=self.line,
            )
        if not may_be_named(self.name):
            raise DefinitionError(
                message=f"{said(self.name)} cannot be the name of a saga",
                rule="W1",
                remedy="Names stand in paths and events: leave out / [ ] ( ) , @ and ~.",
                **at,
            )
        if not self.blocks:
            raise EmptySagaError(
                message=f"saga '{self.name}' holds no block",
                remedy="Give the blocks after the name; a list has a star: Saga(name, *blocks).",
                **at,
            )
        for block in self.blocks:
            if not isinstance(block, Block):
                raise no_block(f"saga '{self.name}'", block)
        seconds(f"deadline of saga '{self.name}'", self.deadline)
        check_type(f"policy of saga '{self.name}'", self.policy, Policy, POLICY)
        check_type(f"contract of saga '{self.name}'", self.contract, Contract, CONTRACT)
        undo = f"the compensation of saga '{self.name}'"
        check_callable(undo, self.compensate, "Give a function of the context and the results.")

    # The block needs what the saga and the function need: one and the same, or both.
    @overload
    def given(
        self: Saga[V, S, T], given: Callable[[Context[I, S, T]], V | Awaitable[V]], /
    ) -> Given[I, S, T]: ...
    @overload
    def given(
        self: Saga[V, S2, T2], given: Callable[[Context[I, S, T]], V | Awaitable[V]], /
    ) -> Given[I, S, T] | Given[object, S2, T2]: ...
    def given(self, given: Callable[..., object], /) -> Given[Any, Any, Any]:
        """
        Make a block of this saga with an input of its own, journalled like a choice.

        Args:
            given: from the parent's context to this saga's input.
        """
        return Given(self, given)

    def __str__(self) -> str:
        """One line a step: ``charge -> charge_card <- refund``."""
        lines = [f"saga '{self.name}'"]
        for block in self.blocks:
            _print(block, "  ", lines)
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Saga {self.name!r}, {len(self.blocks)} blocks>"


def _print(block: Any, indent: str, lines: list[str], label: str = "") -> None:
    """Append the lines of a block, what is inside it indented."""
    inside: list[tuple[str, Any]]
    if isinstance(block, Given):
        block = block.saga
    if isinstance(block, Saga):
        undo = f" <- {callable_name(block.compensate, 'lambda')}" if block.compensate else ""
        head, inside = f"saga '{block.name}'{undo}", [("", part) for part in block.blocks]
    elif isinstance(block, Parallel):
        head, inside = "parallel", [("", part) for part in block.blocks]
    elif isinstance(block, Alternatives):
        head, inside = block.name, [("", part) for part in block.blocks]
    elif isinstance(block, Choice):
        head, inside = f"choice {block.name}", [(f"{name}: ", x) for name, x in block.branches]
    elif isinstance(block, Each):
        head, inside = f"each {block.name}, at most {block.max_items}", [("", block.block)]
    else:
        head, inside = repr(block) if isinstance(block, Skip) else str(block), []
    lines.append(f"{indent}{label}{head}")
    for name, part in inside:
        _print(part, indent + "  ", lines, name)
