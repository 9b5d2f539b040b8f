"""Forms of unions: told apart by what JSON they are, and where that does not do, by a name."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from saga_fsm.codec._form import ANY, TYPE, VALUE, Form, Forms, Misfit, misfit, named


__all__ = ["union"]

_NONE = type(None)
# A whole number may stand for a float, and True for 1, where nothing nearer is in the union.
_NEAREST: dict[type, tuple[type, ...]] = {bool: (int, float), int: (float,)}


def union(type_: Any, members: tuple[Any, ...], forms: Forms) -> Form:
    """
    Give the form of a union.

    A member that is the only one to be a JSON text, or the only object, is written as it is. Others
    are written with their name: ``{"@type": "Card", "@value": {...}}``.
    """
    listed = [forms(member) for member in _merged(members)]
    if any(form is ANY for form in listed):
        return ANY
    some = [form for form in listed if form.type is not _NONE]
    if len(some) == 1:
        return _optional(type_, some[0])
    return _Union(type_, listed).form()


def _merged(members: tuple[Any, ...]) -> list[Any]:
    """Literals are one set of values, however they are grouped."""
    values = [v for one in members if get_origin(one) is Literal for v in get_args(one)]
    others = [one for one in members if get_origin(one) is not Literal]
    return [*others, Literal[tuple(values)]] if values else others


def _optional(type_: Any, form: Form) -> Form:
    def out(value: Any) -> Any:
        return None if value is None else form.out(value)

    def back(tree: Any) -> Any:
        return None if tree is None else form.back(tree)

    direct = form.direct | {_NONE}
    return Form(type_, form.kinds | {_NONE}, out, back, parts=(("", form),), direct=direct)


class _Union:
    """The members of one union, and which of them need their names."""

    def __init__(self, type_: Any, members: list[Form]) -> None:
        self.type = type_
        self.wanted = named(type_)
        self.members = members
        self.names = _names(members)
        clashing = {
            id(one)
            for one in members
            for other in members
            if one is not other and one.kinds & other.kinds
        }
        if clashing:
            clashing |= {id(form) for form in members if dict in form.kinds}
        self.tagged = [form for form in members if id(form) in clashing]
        self.bare = {
            kind: form for form in members if id(form) not in clashing for kind in form.kinds
        }
        self.exact = {form.type: form for form in members if isinstance(form.type, type)}

    def form(self) -> Form:
        kinds = frozenset(self.bare) | ({dict} if self.tagged else set())
        parts = tuple(("", form) for form in self.members)
        return Form(self.type, kinds, self.out, self.back, parts=parts)

    def out(self, value: Any) -> Any:
        """The member of exactly this class, else the first that takes the value."""
        nearest = self.exact.get(value.__class__)
        if nearest is not None:
            return self._told(nearest, nearest.out(value))
        inside: Misfit | None = None
        for form in self.members:
            try:
                return self._told(form, form.out(value))
            except Misfit as error:
                # One that came further than the door knows better what is wrong.
                inside = error if error.trail and inside is None else inside
        raise inside or misfit(value, self.wanted)

    def _told(self, form: Form, tree: Any) -> Any:
        return {TYPE: self.names[id(form)], VALUE: tree} if form in self.tagged else tree

    def back(self, tree: Any) -> Any:
        kind = tree.__class__
        if kind is dict and self.tagged and tree.keys() == {TYPE, VALUE}:
            for form in self.tagged:
                if self.names[id(form)] == tree[TYPE]:
                    return form.back(tree[VALUE])
            known = ", ".join(self.names[id(form)] for form in self.tagged)
            raise Misfit(f"'{tree[TYPE]}' is no type of {self.wanted}: {known}")
        for near in (kind, *_NEAREST.get(kind, ())):
            if near in self.bare:
                return self.bare[near].back(tree)
        return self._guessed(tree)

    def _guessed(self, tree: Any) -> Any:
        """What a person wrote, without names: the one member that it fits."""
        found: list[tuple[Form, Any]] = []
        last: Exception | None = None
        for form in self.tagged:
            try:
                found.append((form, form.back(tree)))
            except Exception as error:  # noqa: BLE001 - the user's own __init__ may refuse it
                last = error
        if len(found) == 1:
            return found[0][1]
        if not found and isinstance(last, Misfit) and len(self.tagged) == 1:
            raise last
        name = (
            self.names[id((found or [(form, None) for form in self.tagged])[0][0])]
            if (self.tagged)
            else ""
        )
        remedy = f'Say which: {{"{TYPE}": "{name}", "{VALUE}": ...}}.' if name else ""
        raise misfit(tree, self.wanted, remedy)


def _names(members: list[Form]) -> dict[int, str]:
    short = {id(form): named(form.type) for form in members}
    twice = {name for name in short.values() if list(short.values()).count(name) > 1}
    return {
        id(form): f"{getattr(form.type, '__module__', '')}.{short[id(form)]}"
        if short[id(form)] in twice
        else short[id(form)]
        for form in members
    }
