"""The type variables of the definition, and defaults for them where Python has none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    InputOut = TypeVar("InputOut", covariant=True, default=object)
    ServicesOut = TypeVar("ServicesOut", covariant=True, default=object)
    ItemOut = TypeVar("ItemOut", covariant=True, default=object)
    Input = TypeVar("Input", contravariant=True, default=object)
    Services = TypeVar("Services", contravariant=True, default=object)
    Item = TypeVar("Item", contravariant=True, default=object)
    Result = TypeVar("Result", covariant=True, default=object)
else:
    from typing import TypeVar

    InputOut = TypeVar("InputOut", covariant=True)
    ServicesOut = TypeVar("ServicesOut", covariant=True)
    ItemOut = TypeVar("ItemOut", covariant=True)
    Input = TypeVar("Input", contravariant=True)
    Services = TypeVar("Services", contravariant=True)
    Item = TypeVar("Item", contravariant=True)
    Result = TypeVar("Result", covariant=True)


def padded(cls: Any, given: Any) -> tuple[Any, ...]:
    """Fill the type arguments left out with ``object``."""
    items = given if isinstance(given, tuple) else (given,)
    return (*items, *(object,) * (len(cls.__parameters__) - len(items)))
