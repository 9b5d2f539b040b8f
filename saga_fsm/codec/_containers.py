"""Forms of lists, tuples, sets and dicts."""

from __future__ import annotations

import collections
import json
from collections import abc
from collections.abc import Callable
from typing import Any, get_args, get_origin

from saga_fsm.codec._form import ANY, TYPE, VALUE, Form, Forms, Misfit, Way, misfit, named


__all__ = ["container"]

_LIST = frozenset({list})
_SETS: dict[Any, type] = {
    set: set,
    frozenset: frozenset,
    abc.Set: frozenset,
    abc.MutableSet: set,
}
_SEQUENCES: dict[Any, type] = {
    list: list,
    collections.deque: collections.deque,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    abc.Reversible: list,
}
_MAPPINGS: dict[Any, type] = {
    dict: dict,
    collections.OrderedDict: collections.OrderedDict,
    collections.defaultdict: collections.defaultdict,
    collections.Counter: collections.Counter,
    abc.Mapping: dict,
    abc.MutableMapping: dict,
}
# What else an abstract annotation may be given; it is written with its name.
_ALSO: dict[Any, tuple[type, ...]] = {
    abc.Set: (set,),
    abc.Sequence: (tuple, collections.deque),
    abc.MutableSequence: (collections.deque,),
    abc.Reversible: (tuple, collections.deque),
    abc.Collection: (tuple, collections.deque, set, frozenset),
    abc.Iterable: (tuple, collections.deque, set, frozenset),
}
_FACTORIES = frozenset({int, float, str, bool, list, dict, set})


def container(type_: Any, forms: Forms) -> Form | None:
    """Give the form of a container; None when it is none."""
    origin, given = get_origin(type_) or type_, get_args(type_)
    if origin is tuple:
        return _tuple(type_, given, forms)
    if origin in _SEQUENCES or origin in _SETS:
        item = forms(given[0]) if given else ANY
        made = _SEQUENCES.get(origin) or _SETS[origin]
        return _many(type_, made, item, _ALSO.get(origin, ()))
    if origin in _MAPPINGS:
        return _mapping(type_, origin, given, forms)
    return None


# ---------------------------------------------------------------------- one after the other


def each(values: Any, way: Way, direct: frozenset[type] = frozenset()) -> list[Any]:
    """All of them in one way, but what is written as it is; what does not go says where it is."""
    done: list[Any] = []
    try:
        for value in values:
            done.append(value if value.__class__ in direct else way(value))  # noqa: PERF401 - the length says where it stopped
    except Misfit as error:
        error.trail.append(f"[{len(done)}]")
        raise
    return done


def _many(type_: Any, made: type, item: Form, also: tuple[type, ...] = ()) -> Form:
    wanted, names = named(type_), {kind.__name__: kind for kind in also}

    def out(value: Any) -> Any:
        kind = value.__class__
        if kind is not made and kind not in also:
            raise misfit(value, wanted)
        trees = each(value, item.out, item.direct)
        if kind is set or kind is frozenset:
            # It has no order, and one value has one text.
            trees.sort(key=json.dumps)
        return trees if kind is made else {TYPE: kind.__name__, VALUE: trees}

    def back(tree: Any) -> Any:
        kind = made
        if tree.__class__ is dict and tree.keys() == {TYPE, VALUE} and tree[TYPE] in names:
            kind, tree = names[tree[TYPE]], tree[VALUE]
        if tree.__class__ is not list:
            raise misfit(tree, f"array for {wanted}")
        items = each(tree, item.back)
        return items if kind is list else kind(items)

    kinds = _LIST | {dict} if also else _LIST
    return Form(type_, kinds, out, back, parts=(("[]", item),))


def _tuple(type_: Any, given: tuple[Any, ...], forms: Forms) -> Form:
    if not given and type_ is not tuple and get_origin(type_) is tuple:
        return _fixed(type_, ())
    if not given or (len(given) == 2 and given[1] is ...):
        return _many(type_, tuple, forms(given[0]) if given else ANY)
    return _fixed(type_, tuple(forms(one) for one in given))


def _fixed(type_: Any, items: tuple[Form, ...]) -> Form:
    wanted = named(type_)

    def ways(values: Any, direction: str) -> list[Any]:
        if len(values) != len(items):
            raise Misfit(f"{len(values)} items are no {wanted}")
        pairs = zip([getattr(item, direction) for item in items], values, strict=True)
        return each(pairs, lambda pair: pair[0](pair[1]))

    def out(value: Any) -> list[Any]:
        if value.__class__ is not tuple:
            raise misfit(value, wanted)
        return ways(value, "out")

    def back(tree: Any) -> tuple[Any, ...]:
        if tree.__class__ is not list:
            raise misfit(tree, f"array for {wanted}")
        return tuple(ways(tree, "back"))

    parts = tuple((f"[{index}]", item) for index, item in enumerate(items))
    return Form(type_, _LIST, out, back, parts=parts)


# ---------------------------------------------------------------------- one by name


def _mapping(type_: Any, origin: Any, given: tuple[Any, ...], forms: Forms) -> Form:
    key = forms(given[0]) if given else forms(str)
    if key is ANY:
        key = forms(str)
    value = ANY if len(given) < 2 else forms(given[1])
    if origin is collections.Counter:
        value = forms(int)
    make, check = _maker(type_, _MAPPINGS[origin], given)
    if key.kinds <= {str}:
        return _object(type_, key, value, make, check, text=False)
    if key.kinds <= {int, float, bool}:
        return _object(type_, key, value, make, check, text=True)
    return _pairs(type_, key, value, make, check)


def _maker(
    type_: Any, made: type, given: tuple[Any, ...]
) -> tuple[Callable[[Any], Any], Callable[[Any], None]]:
    """How a mapping is made of pairs, and what it must be to come back as it was."""
    wanted = named(type_)
    factory: Any = None
    if made is collections.defaultdict and given:
        origin = get_origin(given[1]) or given[1]
        factory = origin if origin in _FACTORIES else None

    def check(value: Any) -> None:
        if type(value) is not made:
            raise misfit(value, wanted)
        if (
            made is collections.defaultdict
            and getattr(value, "default_factory", None) is not factory
        ):
            why = f"the default_factory of a {wanted} would not come back"
            raise Misfit(why, "Give a plain dict: dict(value).")

    if made is collections.defaultdict:
        return (lambda pairs: collections.defaultdict(factory, pairs)), check
    return (dict if made is collections.Counter else made), check


def _object(  # noqa: PLR0913 - the parts of one form
    type_: Any,
    key: Form,
    value: Form,
    make: Callable[[Any], Any],
    check: Callable[[Any], None],
    *,
    text: bool,
) -> Form:
    """Keys that are texts, or numbers that have one: a JSON object."""
    counts = (get_origin(type_) or type_) is collections.Counter

    def out(mapping: Any) -> dict[str, Any]:
        check(mapping)
        tree: dict[str, Any] = {}
        at: Any = None
        try:
            for at, one in mapping.items():
                told = key.out(at)
                tree[json.dumps(told) if text else told] = value.out(one)
        except Misfit as error:
            error.trail.append(f"[{at!r}]")
            raise
        if len(tree) != len(mapping):
            raise Misfit(f"two keys of a {named(type_)} are written alike")
        return tree

    def back(tree: Any) -> Any:
        if tree.__class__ is not dict:
            raise misfit(tree, f"object for {named(type_)}")
        pairs: list[tuple[Any, Any]] = []
        at = ""
        try:
            for at, one in tree.items():
                pairs.append((key.back(_untold(at) if text else at), value.back(one)))
        except Misfit as error:
            error.trail.append(f"[{at!r}]")
            raise
        made = make(pairs)
        return collections.Counter(made) if counts else made

    return Form(type_, frozenset({dict}), out, back, parts=(("[key]", key), ("[]", value)))


def _untold(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _pairs(
    type_: Any,
    key: Form,
    value: Form,
    make: Callable[[Any], Any],
    check: Callable[[Any], None],
) -> Form:
    """Keys that have no one text, as tuples: a JSON array of pairs."""

    def out(mapping: Any) -> list[Any]:
        check(mapping)
        return each(mapping.items(), lambda pair: [key.out(pair[0]), value.out(pair[1])])

    def one(pair: Any) -> tuple[Any, Any]:
        if pair.__class__ is not list or len(pair) != 2:
            raise misfit(pair, f"pair of key and value for {named(type_)}")
        return key.back(pair[0]), value.back(pair[1])

    def back(tree: Any) -> Any:
        if tree.__class__ is not list:
            raise misfit(tree, f"array of pairs for {named(type_)}")
        return make(each(tree, one))

    return Form(type_, _LIST, out, back, parts=(("[key]", key), ("[]", value)))
