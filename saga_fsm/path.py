"""
A path: how a machine, and the world around it, got from the start to somewhere.

A counterexample, a run's history and a replay are all paths. The short text that ``encode`` gives
holds the tokens only; what the moves did is found again by the machine that the fingerprint names.
What is repeated for ever stands behind ``:loop``.

>>> path = Path.decode("order:1a2b3c4d start ~lands(pay) done(pay)")
>>> path.events
('start', 'done(pay)')
>>> Path.decode("order:1a2b3c4d start :loop ~crash ~recovered").loop
1
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import attrs

from saga_fsm.machine import Effect, Finished


if TYPE_CHECKING:
    from saga_fsm.machine import Machine, Move, State


__all__ = ["Path", "PathMove"]

_READABLE: Final = "()[],@/~#"
_FINGERPRINT_SHOWN: Final = 8
# No token reads so: a colon in one is percent-encoded.
_LOOP: Final = ":loop"


@attrs.frozen
class PathMove:
    """
    One move: of the machine, or of the world between two of its events.

    Args:
        token: the event, ``done(charge)``; of the world ``~word(step)``, for instance
            ``~lands(charge)``, ``~crash``.
        says: what came of it, in words.
        state: the state after it, as the machine prints it.
        changes: the automata that moved: path, local state before, local state after.

    """

    token: str = attrs.field(validator=attrs.validators.min_len(1))
    says: str = ""
    state: str = ""
    changes: tuple[tuple[str, str, str], ...] = ()

    @property
    def is_event(self) -> bool:
        """Whether the machine sees it; the world's own moves it does not."""
        return not self.token.startswith("~")


@attrs.frozen
class Path:
    """
    The moves from a machine's initial state, in order.

    Args:
        saga: the saga's name.
        fingerprint: of the machine, or its first characters.
        moves: in order.
        loop: how many moves come before those that are repeated for ever; None if the run ends.

    """

    saga: str
    fingerprint: str
    moves: tuple[PathMove, ...] = ()
    loop: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.loop is not None and not 0 <= self.loop < len(self.moves):
            raise ValueError(
                f"loop is {self.loop} in a path of {len(self.moves)} moves\n"
                "  Give the number of moves before the first one that is repeated."
            )

    @classmethod
    def of_events(cls, machine: Machine, events: Iterable[str]) -> Path:
        """
        Replay events and write down the state, the changes and the effects of each move.

        Raises:
            NoTransitionError: the machine's alphabet has no such event.

        """
        moves = []
        before = machine.initial
        for event in events:
            move = machine.step(before, event)
            moves.append(_written(machine, str(event), before, move))
            before = move.state
        return cls(machine.name, machine.fingerprint[:_FINGERPRINT_SHOWN], tuple(moves))

    @classmethod
    def decode(cls, text: str) -> Path:
        """
        Read what ``encode`` wrote; states and changes are not in it.

        Raises:
            ValueError: the text does not begin with ``saga:fingerprint``, or ends with ``:loop``.

        """
        head, *tokens = text.split() or [""]
        saga, colon, fingerprint = head.partition(":")
        if not colon:
            raise ValueError(
                f"{text!r} is no path: it should read 'saga:fingerprint event event ...'\n"
                "  Copy the whole text that a report or Path.encode() printed."
            )
        loop = tokens.index(_LOOP) if _LOOP in tokens else None
        moves = tuple(PathMove(_plain(t)) for t in tokens if t != _LOOP)
        return cls(_plain(saga), _plain(fingerprint), moves, loop)

    def encode(self) -> str:
        """Write it as one line of readable text; odd characters are percent-encoded."""
        head = f"{_coded(self.saga)}:{_coded(self.fingerprint)}"
        tokens = [_coded(move.token) for move in self.moves]
        if self.loop is not None:
            tokens.insert(self.loop, _LOOP)
        return " ".join([head, *tokens])

    @property
    def events(self) -> tuple[str, ...]:
        """The moves that the machine sees, ready for ``Machine.replay``."""
        return tuple(move.token for move in self.moves if move.is_event)

    def __len__(self) -> int:
        return len(self.moves)

    def __str__(self) -> str:
        width = max((len(move.token) for move in self.moves), default=0)
        lines = []
        for number, move in enumerate(self.moves, 1):
            if number - 1 == self.loop:
                lines.append("     again and again:")
            facts = "  ".join(part for part in (move.state, move.says) if part)
            lines.append(f"{number:>3}  {move.token:<{width}}  {facts}".rstrip())
        return "\n".join(lines)


def _written(machine: Machine, event: str, before: State, move: Move) -> PathMove:
    paths = machine.index
    pairs = ((path, before[path], move.state[path]) for path in paths)
    says = f"ignored: {move.ignored}" if move.ignored else ", ".join(map(_told, move.effects))
    changes = tuple(pair for pair in pairs if pair[1] != pair[2])
    return PathMove(event, says, str(move.state), changes)


def _told(effect: Effect) -> str:
    about = effect.status.value if isinstance(effect, Finished) else effect.target
    return f"{type(effect).__name__}({about})"


def _coded(text: str) -> str:
    return quote(text, safe=_READABLE, errors="surrogatepass")


def _plain(text: str) -> str:
    return unquote(text, errors="surrogatepass")
