"""Which moves are enough, on tables of a few fields: one reason after the other why not."""

from __future__ import annotations

import attrs
import pytest

from saga_fsm.checker._persistent import Persistent, without_impossible
from saga_fsm.compiler import compile_saga
from saga_fsm.definition import Saga
from saga_fsm.product import Command, Field, Forbidden, Network
from tests.reference import C


# Two homes, (A, MA) and (B, MB), and a hub.
HUB, A, B, MA, MB = range(5)
FIELDS = (
    Field("@hub", ("low", "high")),
    Field("a", ("idle", "busy", "over")),
    Field("b", ("idle", "busy", "over")),
    Field("~a", ("none", "landed")),
    Field("~b", ("none", "landed")),
)
BUSY = (0, 1, 1, 0, 0)


def command(asks: dict[int, set[int]], **writes: int) -> Command:
    """One that asks and writes this."""
    places = {"hub": HUB, "a": A, "b": B, "ma": MA, "mb": MB}
    guard = tuple((f, frozenset(values)) for f, values in asks.items())
    return Command("x", "", guard, tuple((places[name], x) for name, x in writes.items()))


ENDS_A, ENDS_B = command({A: {1}}, a=2), command({B: {1}}, b=2)
LANDS_A = command({A: {1, 2}, MA: {0}}, ma=1)
PLAIN = Network(
    machine=compile_saga(Saga("any", C("a"))),
    fields=FIELDS,
    commands=(command({A: {0}}, a=1), command({B: {0}}, b=1), ENDS_A, ENDS_B, LANDS_A),
    internal=(),
    forbidden=(),
    rest=((A, frozenset({0, 2})), (B, frozenset({0, 2}))),
)


def enough(network: Network, values: tuple[int, ...] = BUSY) -> set[int] | None:
    """The numbers of the commands that are enough."""
    found = Persistent(network).enough(values)
    return None if found is None else set(found)


def but(*commands: Command, **changes: object) -> Network:
    """The plain network with more commands, or otherwise changed."""
    return attrs.evolve(PLAIN, commands=(*PLAIN.commands, *commands), **changes)


def forbidden(**values: int) -> tuple[Forbidden, ...]:
    """That these fields are so."""
    guard = tuple(
        (f, frozenset({values[x.name]})) for f, x in enumerate(FIELDS) if x.name in values
    )
    return (Forbidden("a", guard, {"": ("I1", "made up")}),)


def test_moves_that_nobody_meets_are_enough() -> None:
    """All that is enabled in one home, and nothing of the other."""
    assert enough(PLAIN) == {2, 4}
    assert enough(PLAIN, (0, 1, 1, 1, 0)) == {2}


def test_who_has_come_furthest_goes_first() -> None:
    """At rest a step's moves are seen; of the others the furthest goes on."""
    furthest = attrs.evolve(PLAIN, rest=((A, frozenset({0})), (B, frozenset({0}))))
    assert enough(furthest, (0, 1, 2, 0, 0)) == {2, 4}
    more = attrs.evolve(furthest, commands=(*PLAIN.commands, command({B: {2}}, b=1)))
    assert enough(more, (0, 1, 2, 0, 0)) == {5}


@pytest.mark.parametrize(
    ("why", "other"),
    [
        ("writes the home", command({B: {1}}, a=2, b=2)),
        ("reads what a move changes", command({A: {1}, B: {2}}, b=1)),
        ("changes what a move asks for", command({B: {1}}, hub=1)),
    ],
)
def test_what_meets_a_move_is_not_left_out(why: str, other: Command) -> None:
    """Another's command that can come before it, with another end."""
    asks_hub = command({A: {1}, HUB: {0}}, a=2)
    with_hub = attrs.evolve(PLAIN, commands=(asks_hub, *PLAIN.commands[3:]))
    assert enough(with_hub) == {0, 2}, why
    found = enough(attrs.evolve(with_hub, commands=(*with_hub.commands, other)))
    assert found is None or 0 not in found, why


@pytest.mark.parametrize(
    ("why", "row"),
    [
        ("joins both", command({A: {2}, B: {1}}, hub=1)),
        ("writes the home after another's move", command({A: {1}, B: {2}}, a=0)),
        ("ends the other", command({A: {2}, B: {1}}, b=0)),
    ],
)
def test_moves_may_meet_in_what_settles(why: str, row: Command) -> None:
    """An internal command that one move wakes, and the other would not let be taken."""
    found = enough(attrs.evolve(PLAIN, internal=(row,)))
    assert found is None or not found & {2, 4}, why


def test_a_join_that_waits_for_both_is_no_meeting() -> None:
    """Whoever comes last settles to the same."""
    join = command({A: {2}, B: {2}, HUB: {0}}, hub=1)
    assert enough(attrs.evolve(PLAIN, internal=(join,))) == {2, 4}


def test_a_join_that_can_be_left_again_is_one() -> None:
    """Who can go back before the last has come keeps the hub low in one order only."""
    join = command({A: {2}, B: {2}, HUB: {0}}, hub=1)
    back = command({B: {2}}, b=1)
    assert enough(but(back, internal=(join,))) == {3}
    assert enough(but(back, command({A: {2}}, a=1), internal=(join,))) is None


def test_what_another_lets_happen_is_waited_for() -> None:
    """A command of this home that is enabled only after another's move."""
    waits, lets = command({A: {1}, HUB: {1}}, a=2), command({B: {1}, HUB: {0}}, hub=1)
    assert enough(but(waits)) == {2, 4}
    assert enough(but(waits, lets)) is None


def test_what_is_written_last_stays() -> None:
    """One raises the hub while it settles, the other lowers it: the order makes a difference."""
    lowers = command({B: {1}}, b=2, hub=0)
    assert enough(but(lowers, internal=(command({A: {2}, HUB: {0}}, hub=1),))) is None


def test_rest_is_seen() -> None:
    """Where a run rests nobody moves on before all that may happen there is looked at."""
    assert enough(attrs.evolve(PLAIN, rest=())) is None


def test_what_is_forbidden_while_others_move_is_seen() -> None:
    """A bug that passes when this home moves: the moves of the other one are looked at."""
    assert enough(attrs.evolve(PLAIN, forbidden=forbidden(a=1, b=2))) == {3}
    assert enough(attrs.evolve(PLAIN, forbidden=forbidden(a=2, b=2))) == {2, 4}


def test_what_others_cannot_come_to_is_not_waited_for() -> None:
    """It asks for a hub that nobody raises any more, or somebody still does."""
    passing = forbidden(**{"a": 1, "@hub": 1})
    assert enough(attrs.evolve(PLAIN, forbidden=passing)) == {2, 4}
    raised = but(command({B: {1}, HUB: {0}}, hub=1), forbidden=passing)
    found = enough(raised)
    assert found is None or not found & {2, 4}


def test_a_name_that_hangs_on_the_status_is_not_changed() -> None:
    """It holds before and after the move, but perhaps as another rule."""
    (one,) = forbidden(b=2)
    assert enough(attrs.evolve(PLAIN, forbidden=(one,))) == {2, 4}
    varying = one._replace(sayings={"stuck": ("I3", "x"), "completed": ("I1", "x")})
    assert enough(attrs.evolve(PLAIN, forbidden=(varying,))) == {3}


def test_what_no_home_comes_to_is_left_out() -> None:
    """A command that asks for a pair of values that are never there together."""
    never, late = command({A: {0}, MA: {1}}, a=1), command({A: {2}, MA: {1}}, a=1)
    assert without_impossible(but(never, late)).commands == (*PLAIN.commands, late)
