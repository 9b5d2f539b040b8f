"""Predicates on states: plain functions, and what several of them are when joined."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs

from saga_fsm.properties._view import Terms, View


# A list of conjunctions, of which one has to hold.
Cube: TypeAlias = dict[int, frozenset[int]]
Condition: TypeAlias = list[Cube]


class Predicate:
    """A statement about one state; joined by ``&``, ``|`` and ``~``."""

    def __call__(self, view: View, /) -> bool:
        """Whether it holds in a state."""
        raise NotImplementedError

    def condition(self, terms: Terms, /, *, holds: bool = True) -> Condition | None:
        """When it holds, or when it does not, as a guard; None where it has none."""
        raise NotImplementedError

    def leaves(self) -> Iterator[Predicate]:
        """What it is made of."""
        yield self

    def __and__(self, other: Claim) -> Predicate:
        """Both hold."""
        return Both((self, claim(other)))

    def __rand__(self, other: Claim) -> Predicate:
        """Both hold."""
        return Both((claim(other), self))

    def __or__(self, other: Claim) -> Predicate:
        """One of them holds."""
        return Either((self, claim(other)))

    def __ror__(self, other: Claim) -> Predicate:
        """One of them holds."""
        return Either((claim(other), self))

    def __invert__(self) -> Predicate:
        """It does not hold."""
        return Not(self)

    def __bool__(self) -> bool:
        raise TypeError(
            f"'{self}' is true or false of a state, not by itself\n"
            "  Join predicates by & | ~, not by and, or, not; in a function call it with the view."
        )


Claim: TypeAlias = "Predicate | Callable[[View], bool] | str"


def claim(value: Any) -> Predicate:
    """
    The predicate that is meant: itself, a function of a view, or the text of an event.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(value, Predicate):
        return value
    if isinstance(value, str):
        from saga_fsm.properties._atoms import Now

        return Now(value)
    if callable(value):
        function: Any = value
        return Function(function, _text(function))
    raise TypeError(
        f"{value!r} is no predicate\n"
        "  Give a function of a view, an atom such as at('charge', 'done'), or an event's text."
    )


@attrs.frozen(str=False)
class Function(Predicate):
    """A plain function of a view; by its name, or the text of a lambda."""

    function: Callable[[View], bool]
    text: str

    def __call__(self, view: View, /) -> bool:
        """Ask it."""
        return self.function(view)

    def condition(self, _terms: Terms, /, *, holds: bool = True) -> Condition | None:  # noqa: ARG002
        """None: what a function does is not known."""
        return None

    def __str__(self) -> str:
        return self.text


def meet(one: Condition, other: Condition) -> Condition:
    """The conjunction of two conditions, multiplied out."""
    found: Condition = []
    for mine in one:
        for theirs in other:
            cube = dict(mine)
            for f, x in theirs.items():
                cube[f] = cube[f] & x if f in cube else x
            if all(cube.values()) and cube not in found:
                found.append(cube)
    return found


@attrs.frozen(str=False)
class Joined(Predicate):
    """Several predicates in one."""

    parts: tuple[Predicate, ...]

    def leaves(self) -> Iterator[Predicate]:
        """What it is made of."""
        for part in self.parts:
            yield from part.leaves()

    def _all(self, terms: Terms, *, holds: bool) -> Condition | None:
        found: Condition = [{}]
        for part in self.parts:
            one = part.condition(terms, holds=holds)
            if one is None:
                return None
            found = meet(found, one)
        return found

    def _any(self, terms: Terms, *, holds: bool) -> Condition | None:
        found: Condition = []
        for part in self.parts:
            one = part.condition(terms, holds=holds)
            if one is None:
                return None
            found.extend(one)
        return found


@attrs.frozen(str=False)
class Both(Joined):
    """All hold; the later ones are asked only where the earlier ones do."""

    def __call__(self, view: View, /) -> bool:
        """Ask in order."""
        return all(truth(part, view) for part in self.parts)

    def condition(self, terms: Terms, /, *, holds: bool = True) -> Condition | None:
        """By De Morgan."""
        return self._all(terms, holds=True) if holds else self._any(terms, holds=False)

    def __str__(self) -> str:
        return " & ".join(map(_inside, self.parts))


@attrs.frozen(str=False)
class Either(Joined):
    """One holds; the later ones are asked only where the earlier ones do not."""

    def __call__(self, view: View, /) -> bool:
        """Ask in order."""
        return any(truth(part, view) for part in self.parts)

    def condition(self, terms: Terms, /, *, holds: bool = True) -> Condition | None:
        """By De Morgan."""
        return self._any(terms, holds=True) if holds else self._all(terms, holds=False)

    def __str__(self) -> str:
        return " | ".join(map(_inside, self.parts))


@attrs.frozen(str=False)
class Implies(Either):
    """Where the first holds so does the second; the parts are the first's negation, the second."""

    @property
    def antecedent(self) -> Predicate:
        """Where something is said at all."""
        (negated, _) = self.parts
        assert isinstance(negated, Not)  # noqa: S101 - made so by ``implies``
        return negated.part

    def __str__(self) -> str:
        return f"{_inside(self.antecedent)} implies {_inside(self.parts[1])}"


@attrs.frozen(str=False)
class Not(Predicate):
    """It does not hold."""

    part: Predicate

    def __call__(self, view: View, /) -> bool:
        """Ask the other."""
        return not truth(self.part, view)

    def condition(self, terms: Terms, /, *, holds: bool = True) -> Condition | None:
        """The other's, the other way round."""
        return self.part.condition(terms, holds=not holds)

    def leaves(self) -> Iterator[Predicate]:
        """What it is made of."""
        yield from self.part.leaves()

    def __str__(self) -> str:
        return f"~{_inside(self.part)}"


def truth(predicate: Predicate, view: View) -> bool:
    """
    What a predicate answers, which is True or False.

    Raises:
        TypeError: it answers something else.
    """
    answer = predicate(view)
    if answer is True or answer is False:
        return answer
    raise TypeError(f"'{predicate}' answers {answer!r}, not True or False")


def _inside(part: Predicate) -> str:
    return f"({part})" if isinstance(part, Joined) else str(part)


def step_name(step: Any) -> str:
    """What a step is called: by value, name or function."""
    if isinstance(step, str):
        return step
    return str(getattr(step, "name", None) or getattr(step, "__name__", step))


def _text(function: Callable[..., Any]) -> str:
    """A function's name; of a lambda its text, or where it stands."""
    name = str(getattr(function, "__name__", type(function).__name__))
    code = getattr(function, "__code__", None)
    if name != "<lambda>" or code is None:
        return name
    try:
        source = textwrap.dedent("".join(inspect.getsourcelines(function)[0])).strip()
        tree = ast.parse(source.rstrip(","))
    except (OSError, SyntaxError):
        tree, source = ast.Module([], []), ""
    found = [one for one in ast.walk(tree) if isinstance(one, ast.Lambda)]
    if len(found) == 1:
        return " ".join((ast.get_source_segment(source, found[0].body) or name).split())
    return f"lambda at line {code.co_firstlineno} of {code.co_filename.rpartition('/')[2]}"
