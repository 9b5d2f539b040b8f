"""Forms of classes with fields: attrs, dataclasses, named tuples, typed dicts, pydantic models."""

from __future__ import annotations

import dataclasses
import json
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, Required, get_origin

import attrs

from saga_fsm.codec._form import ANY, Form, Forms, Misfit, Way, misfit, named
from saga_fsm.codec._hints import fields_of


__all__ = ["fielded", "is_fielded"]

_DICT = frozenset({dict})


@attrs.frozen
class _Field:
    """A field: its name in JSON, its form, what ``__init__`` calls it, if it takes it."""

    name: str
    form: Form
    alias: str
    needed: bool = True
    init: bool = True


def is_fielded(kind: Any) -> bool:
    """Whether this class says what its fields are."""
    return isinstance(kind, type) and (
        attrs.has(kind)
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
        or _is_model(kind)
    )


def fielded(form: Form, forms: Forms, *, strict: bool) -> None:
    """
    Fill the form of such a class, whose own fields may hold it again.

    Args:
        form: of the class, or of a generic one with its arguments; empty so far.
        forms: gives the forms of the fields.
        strict: whether fields that the class does not have are refused.
    """
    kind = get_origin(form.type) or form.type
    if _is_model(kind):
        _model(form, kind)
        return
    hints = fields_of(form.type)
    inner = {name: forms(hint) for name, hint in hints.items()}
    if typing.is_typeddict(kind):
        # Annotations that are texts have hidden their Required and NotRequired from Python.
        said = {name: get_origin(hint) for name, hint in hints.items()}
        needed = {name for name in kind.__required_keys__ if said.get(name) is not NotRequired}
        needed |= {name for name, word in said.items() if word is Required}
        _typed_dict(form, inner, sorted(needed), strict=strict)
        return
    if issubclass(kind, tuple):
        fields = _named_tuple(kind, inner)
    else:
        fields, form.sure = _attributes(kind, inner)
    form.out = _writer(kind, fields)
    form.back = _reader(kind, fields, strict=strict)
    form.parts = tuple((f".{field.name}", field.form) for field in fields)


# ---------------------------------------------------------------------- attrs and dataclasses


def _attributes(kind: Any, inner: Mapping[str, Form]) -> tuple[tuple[_Field, ...], bool]:
    """The fields of a class, and whether ``__init__`` does nothing but set them."""
    if attrs.has(kind):
        declared: Any = attrs.fields(kind)
        bare = all(a.init and a.converter is None and a.validator is None for a in declared)
        made = "attrs generated" in _file_of(kind.__init__)
        hooks = ["__attrs_post_init__", "__attrs_pre_init__"]
    else:
        declared = dataclasses.fields(kind)
        bare = all(field.init for field in declared)
        made = _file_of(kind.__init__) == "<string>"
        hooks = ["__post_init__"]
    sure = bare and made and not any(hasattr(kind, hook) for hook in hooks)
    return tuple(_field(one, inner.get(one.name, ANY)) for one in declared), sure


def _field(declared: Any, form: Form) -> _Field:
    if isinstance(declared, dataclasses.Field):
        missing = dataclasses.MISSING
        needed = declared.default is missing and declared.default_factory is missing
        return _Field(declared.name, form, declared.name, needed=needed, init=declared.init)
    needed = declared.default is attrs.NOTHING
    return _Field(declared.name, form, declared.alias, needed=needed, init=declared.init)


def _file_of(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return "" if code is None else str(code.co_filename)


def _writer(kind: Any, fields: tuple[_Field, ...]) -> Way:
    ways = tuple((field.name, field.form, field.form.direct) for field in fields)
    wanted = named(kind)

    def out(value: Any) -> dict[str, Any]:
        if value.__class__ is not kind:
            raise misfit(value, wanted, _exactly(value, kind))
        tree: dict[str, Any] = {}
        name = ""
        try:
            for name, form, direct in ways:
                one = getattr(value, name)
                tree[name] = one if one.__class__ in direct else form.out(one)
        except Misfit as error:
            error.trail.append(f".{name}")
            raise
        return tree

    return out


def _exactly(value: Any, kind: Any) -> str:
    if not isinstance(value, kind):
        return ""
    more = named(type(value))
    return f"It would come back without what {more} adds: annotate {more}, or a union of both."


def _reader(kind: Any, fields: tuple[_Field, ...], *, strict: bool) -> Way:
    """Cattrs writes the function that makes the class; what is in the fields is our forms'."""
    from cattrs import Converter
    from cattrs.gen import make_dict_structure_fn_from_attrs, override

    taken = [field for field in fields if field.init]
    # Under names of our own: a field may be called as a parameter of cattrs is.
    twin = attrs.make_class(
        "Twin",
        {
            f"f{index}": attrs.field(
                default=attrs.NOTHING if field.needed else None, alias=field.alias, kw_only=True
            )
            for index, field in enumerate(taken)
        },
    )
    overrides: dict[str, Any] = {
        f"f{index}": override(rename=field.name, struct_hook=_hook(field))
        for index, field in enumerate(taken)
    }
    made = make_dict_structure_fn_from_attrs(
        list(attrs.fields(twin)),
        kind,
        Converter(),
        {parameter.__name__: Any for parameter in getattr(kind, "__parameters__", ())},
        _cattrs_forbid_extra_keys=False,
        _cattrs_detailed_validation=False,
        _cattrs_use_linecache=False,
        **overrides,
    )
    needed = [field.name for field in taken if field.needed]
    known = frozenset(field.name for field in fields)

    def back(tree: Any) -> Any:
        _check_object(tree, kind, known, needed, strict=strict)
        return made(tree, kind)

    return back


def _hook(field: _Field) -> Callable[[Any, Any], Any]:
    form, name = field.form, field.name

    def back(tree: Any, _: Any) -> Any:
        try:
            return form.back(tree)
        except Misfit as error:
            error.trail.append(f".{name}")
            raise

    return back


def _check_object(
    tree: Any, kind: Any, known: frozenset[str], needed: list[str], *, strict: bool
) -> None:
    if tree.__class__ is not dict:
        raise misfit(tree, f"object for {named(kind)}")
    missing = [name for name in needed if name not in tree]
    odd = sorted(map(str, tree.keys() - known)) if strict else []
    if missing or odd:
        # All of it at once: who types by hand wants to be told once.
        needs = f"needs {_listed(missing)}" if missing else ""
        lacks = f"has no field {_listed(odd)}" if odd else ""
        raise Misfit(f"{named(kind)} {' and '.join(filter(None, (needs, lacks)))}")


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


# ---------------------------------------------------------------------- tuples and dicts with names


def _named_tuple(kind: Any, inner: Mapping[str, Form]) -> tuple[_Field, ...]:
    defaults = kind._field_defaults
    return tuple(
        _Field(name, inner.get(name, ANY), name, needed=name not in defaults)
        for name in kind._fields
    )


def _typed_dict(form: Form, inner: Mapping[str, Form], needed: list[str], *, strict: bool) -> None:
    kind, wanted, known = form.type, named(form.type), frozenset(inner)

    def convert(source: Any, direction: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        name = ""
        try:
            for name, value in source.items():
                if name in known:
                    made[name] = getattr(inner[name], direction)(value)
        except Misfit as error:
            error.trail.append(f".{name}")
            raise
        return made

    def out(value: Any) -> dict[str, Any]:
        if value.__class__ is not dict:
            raise misfit(value, wanted)
        _check_object(value, kind, known, needed, strict=True)
        return convert(value, "out")

    def back(tree: Any) -> dict[str, Any]:
        _check_object(tree, kind, known, needed, strict=strict)
        return convert(tree, "back")

    form.out, form.back = out, back
    form.parts = tuple((f".{name}", one) for name, one in inner.items())


# ---------------------------------------------------------------------- pydantic


def _is_model(kind: type) -> bool:
    # Whoever has a model has imported pydantic: we never do it first.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def _model(form: Form, kind: Any) -> None:
    """As pydantic writes it, in JSON mode, and as it reads it; it may hide or change things."""
    wanted = named(kind)

    def out(value: Any) -> Any:
        if value.__class__ is not kind:
            raise misfit(value, wanted, _exactly(value, kind))
        # By text, so that a model's own way to write JSON is the one that counts.
        text = value.model_dump_json(by_alias=True)
        try:
            again = kind.model_validate_json(text)
        except ValueError as error:
            raise Misfit(f"{wanted} does not read what it writes", _MODEL) from error
        if again != value:
            raise Misfit(f"{wanted} comes back as something else", _MODEL)
        return json.loads(text)

    def back(tree: Any) -> Any:
        return kind.model_validate_json(json.dumps(tree))

    form.out, form.back = out, back


_MODEL = "A secret, an excluded field or a serializer loses it: return another model, or an id."
