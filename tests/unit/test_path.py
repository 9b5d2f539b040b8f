"""A path is short text that replays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_fsm import Machine, Saga, compile_saga, pivot, step
from saga_fsm.errors import NoTransitionError
from saga_fsm.path import Path, PathMove


def reserve(ctx):
    """Set goods aside."""


def release(ctx, reservation):
    """Put them back."""


def ship(ctx):
    """Send them."""


BACK = ("start", "done(reserve)", "rejected(ship)", "compensated(reserve)")


@pytest.fixture
def machine() -> Machine:
    """Compile the two-step order saga."""
    return compile_saga(Saga("order", step(reserve, compensate=release), pivot(ship)))


names = st.text(st.characters(), min_size=1)


@given(names, names, st.lists(names))
def test_text_round_trips(saga: str, fingerprint: str, tokens: list[str]) -> None:
    """Whatever the names hold, the text reads back as the same path, and is printable ASCII."""
    path = Path(saga, fingerprint, tuple(map(PathMove, tokens)))
    assert Path.decode(path.encode()) == path
    assert path.encode().isascii()
    assert path.encode().isprintable()


@given(names, st.lists(names, min_size=1), st.data())
def test_a_round_is_kept_in_the_text(saga: str, tokens: list[str], data: st.DataObject) -> None:
    """What is repeated for ever reads back as that, whatever the tokens are."""
    loop = data.draw(st.integers(0, len(tokens) - 1))
    path = Path(saga, "1a", tuple(map(PathMove, [*tokens, ":loop"])), loop)
    assert Path.decode(path.encode()) == path
    assert path.encode().split()[loop + 1] == ":loop"


@pytest.mark.parametrize("text", ["s:1a :loop", "s:1a start done(a) :loop"])
def test_a_round_of_no_moves_is_refused(text: str) -> None:
    """A round has at least one move."""
    with pytest.raises(ValueError, match="loop is"):
        Path.decode(text)


def test_text_is_readable(machine: Machine) -> None:
    """Ordinary names stand in the text as they are."""
    text = Path.of_events(machine, BACK).encode()
    assert text == f"order:{machine.fingerprint[:8]} {' '.join(BACK)}"


def test_states_and_changes_are_the_machines(machine: Machine) -> None:
    """A path of events says for each move what the machine's replay says."""
    path = Path.of_events(machine, BACK)
    replayed = machine.replay(BACK)
    assert [move.state for move in path.moves] == [str(move.state) for move in replayed]
    assert ("reserve", "pending", "started") in path.moves[0].changes
    assert "Call(reserve)" in path.moves[0].says


def test_an_ignored_event_says_why(machine: Machine) -> None:
    """An event that does nothing changes nothing and gives the machine's reason."""
    move = Path.of_events(machine, ["start", "start"]).moves[-1]
    assert move.says.startswith("ignored: ")
    assert move.changes == ()


def test_the_worlds_moves_are_no_events() -> None:
    """What happens outside the machine is in the path and not in its events."""
    path = Path.decode("order:1a start ~lands(reserve) ~crash done(reserve)")
    assert path.events == ("start", "done(reserve)")
    assert len(path) == 4


def test_prints_one_numbered_line_a_move(machine: Machine) -> None:
    """Each move is a line with its number, its token and the state after it."""
    lines = str(Path.of_events(machine, BACK)).splitlines()
    assert [line.split()[:2] for line in lines] == [[str(n), e] for n, e in enumerate(BACK, 1)]
    assert lines[-1].split()[2].startswith("compensated(")


@pytest.mark.parametrize("text", ["", "order", "start done(a)"])
def test_other_text_is_refused_with_the_remedy(text: str) -> None:
    """Text that is no path is refused, and the message says where to get one."""
    with pytest.raises(ValueError, match="Copy the whole text"):
        Path.decode(text)


def test_an_unknown_event_is_refused(machine: Machine) -> None:
    """An event outside the alphabet is an error, not an ignored move."""
    with pytest.raises(NoTransitionError):
        Path.of_events(machine, ["start", "done(nobody)"])
