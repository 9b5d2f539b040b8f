"""Bugs in the compiler: rows that say something else, or are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from saga_fsm import SKIP, Contract, Retry, Saga, Status, alternatives, choice, parallel
from saga_fsm.compiler import _scopes, _steps
from saga_fsm.compiler._table import Table
from saga_fsm.definition.layout import PlacedParallel
from saga_fsm.machine import _alphabet as a
from tests.quality.planted.scene import SEVERAL, monitored, settled
from tests.quality.planted.yard import BARE, C, Loose, P, R, S, Yard, exactly, of_library, repeated


Edit = Callable[[Any], None]
FENCED = Contract(idempotent=True, fenced=True)


def editing(edit: Edit) -> Callable[[], AbstractContextManager[None]]:
    """Compile, and change the table before it is done."""

    @contextmanager
    def plant() -> Iterator[None]:
        sound = Table.pruned

        def pruned(table: Table) -> Any:
            edit(table)
            return sound(table)

        with mock.patch.object(Table, "pruned", pruned):
            yield

    return plant


def moved(kinds: set[str], sources: set[int], old: int, new: int, trait: str = "") -> Edit:
    """Rows on some events, from some local states, lead to ``new`` and not to ``old``."""

    def edit(table: Any) -> None:
        for row in table.rows:
            v = row.automaton
            if row.event is None or row.event.kind not in kinds or (v, old) not in row.update:
                continue
            if dict(row.guard)[v] <= sources and trait in {"", *table._drafts[v][4]}:
                row.update = tuple((v, new) if one == (v, old) else one for one in row.update)

    return edit


def without(kind: str) -> Edit:
    """Rows on an event are missing."""

    def edit(table: Any) -> None:
        rows = table.rows
        rows[:] = [row for row in rows if row.event is None or row.event.kind != kind]

    return edit


def deaf(table: Any) -> None:
    """The deadline is noted, and nothing is turned back."""
    for row in table.rows:
        if row.event is not None and row.event.kind == "deadline":
            row.update = tuple(one for one in row.update if one[1] != a.SCOPE_HALTING)


def named(start: str, end: str, edit: Callable[[Any, Any], None]) -> Edit:
    """Change the internal rows of some name."""

    def whole(table: Any) -> None:
        for row in table.rows:
            if row.event is None and row.name.startswith(start) and row.name.endswith(end):
                edit(table, row)

    return whole


def lead(old: int, new: int) -> Callable[[Any, Any], None]:
    """Lead a row's own automaton elsewhere."""

    def edit(_table: Any, row: Any) -> None:
        v = row.automaton
        row.update = tuple((v, new) if one == (v, old) else one for one in row.update)

    return edit


@contextmanager
def patched(place: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Replace a function by what is made of it."""
    with mock.patch.object(place, name, make(getattr(place, name))):
        yield


def _unordered(sound: Any) -> Any:
    def _undo(self: Any, unit: Any, scope: int, _order: Any) -> None:
        sound(self, unit, scope, SimpleNamespace(successors=defaultdict(dict)))

    return _undo


def _first_only(sound: Any) -> Any:
    def exit(self: Any, block: Any) -> Any:  # noqa: A001 - the name of what is replaced
        if isinstance(block, PlacedParallel):
            return sound(self, block.branches[0])
        return sound(self, block)

    return exit


def _never_lost(sound: Any) -> Any:
    def lost(placed: Any) -> int:
        return a.REJECTED if sound(placed) == a.UNKNOWN else sound(placed)

    return lost


def _each_at_once(_table: Any, row: Any) -> None:
    row.guard = row.guard[:2]


def _both_branches(table: Any, row: Any) -> None:
    v = table.index["which"]
    if row.automaton != v:
        any_label = frozenset(range(a.FIRST_LABEL, a.FIRST_LABEL + 8))
        row.guard = tuple((w, any_label if w == v else allowed) for w, allowed in row.guard)


def _held_is_clean(_table: Any, row: Any) -> None:
    if a.SCOPE_HELD in dict(row.guard)[row.automaton]:
        lead(a.SCOPE_UNDOING, a.SCOPE_COMPENSATED)(_table, row)


def _whole_and_parts(table: Any) -> None:
    for row in table.rows:
        if row.event is not None and row.event.kind == "compensated":
            lead(a.SCOPE_COMPENSATED, a.SCOPE_UNDOING)(table, row)


CHAIN = {"a": "b"}


def _chain() -> Any:
    return S(C("a"), C("b"), P(), R())


def _yard() -> Yard:
    return Yard(CHAIN)


def _undo_whole(ctx: Any, _results: Any) -> None:
    yard = ctx.services
    for name in ("a", "b"):
        yard.once(f"{ctx.key}/{name}", lambda name=name: yard.add(f"{ctx.step}/{name}", -1))


def _nested(whole: Any = None) -> Any:
    inner = Saga("n", C("a"), C("b"), compensate=whole and monitored(whole))
    return S(inner, C("c"), P())


def _beside() -> Any:
    return S(parallel(Saga("n", C("a"), C("b")), C("x")), P())


def _ways() -> Any:
    fast, slow = Saga("fast", C("a"), C("b")), Saga("slow", C("z"))
    return S(alternatives(fast, slow), P())


def _either(*some: tuple[str, ...]) -> Any:
    def judge(world: Any, outcome: Any) -> bool:
        if outcome.status is Status.COMPLETED:
            return any(world.standing == dict.fromkeys(paths, 1) for paths in some)
        return not world.standing

    return settled(judge)


def _no_way_back(world: Any, outcome: Any) -> bool:
    """Once p stands nobody owes an undo."""
    owed = "compensate" in outcome.unresolved.values()
    return _ALL(world, outcome) and not (owed and world.standing.get("p"))


def _in_time(world: Any, outcome: Any) -> bool:
    late = "deadline" in map(str, outcome.events) and outcome.status is Status.COMPLETED
    return exactly("a", "b")(world, outcome) and not late


def _patching(place: Any, name: str, make: Any) -> Any:
    return lambda: patched(place, name, make)


def _bug(name: str, why: str, *parts: Any, **options: Any) -> Any:
    return of_library(name, "compiler", why, *parts, **options)


_CALLED = {a.STARTED, a.RESTARTED}
_ALL = exactly("a", "b", "p", "r")

COMPILER = (
    _bug(
        "the failed step is not undone",
        "A step whose outcome is not known counts as rejected: only what completed is undone.",
        _patching(_steps, "lost", _never_lost),
        _chain,
        _ALL,
        "a b=lands b=lost b=lost",
        world=_yard,
    ),
    _bug(
        "a no after no answer is believed",
        "A rejection counts as definite though an earlier attempt was never answered.",
        editing(moved({"rejected"}, {a.RESTARTED}, a.UNKNOWN, a.REJECTED)),
        _chain,
        _ALL,
        "a b=lands b=reject",
    ),
    _bug(
        "a no that is not remembered is believed",
        "A rejection of a step that is not sticky needs no undo: a duplicate lands.",
        editing(moved({"rejected"}, _CALLED, a.UNKNOWN, a.REJECTED)),
        lambda: S(C("a", contract=FENCED), C("b", contract=FENCED), P(), R()),
        _ALL,
        "a b=reject",
    ),
    _bug(
        "undos in any order",
        "The undo of a step does not wait for those of its successors.",
        _patching(_scopes.Rows, "_undo", _unordered),
        _chain,
        _ALL,
        "a b p=reject",
        world=_yard,
    ),
    _bug(
        "the pivot does not commit",
        "The pivot's done leaves its scope running: a deadline turns it back afterwards.",
        _patching(_scopes.Rows, "commit", lambda _sound: lambda _self, _scope: []),
        lambda: S(C("a"), C("b"), P(), R(), deadline=10.0),
        _no_way_back,
        "a b p r=transient +20",
    ),
    _bug(
        "an undo that was given up counts as done",
        "When no attempt of an undo is left the step is called compensated.",
        editing(
            moved({"exhausted"}, {a.COMPENSATION_WAITING}, a.COMPENSATION_FAILED, a.COMPENSATED)
        ),
        lambda: S(C("a"), C("b", compensation_retry=Retry(attempts=2)), P(), R()),
        _ALL,
        "a b p=reject b-=lost b-=lost",
    ),
    _bug(
        "an undo without an answer counts as done",
        "An unknown undo leads to compensated, not to another attempt.",
        editing(
            moved(
                {"unknown", "transient"},
                {a.COMPENSATING},
                a.COMPENSATION_WAITING,
                a.COMPENSATED,
            )
        ),
        _chain,
        _ALL,
        "a b p=reject b-=lost",
    ),
    _bug(
        "the block of lines ends at once",
        "An each is done when its items are known, not when its copies are.",
        editing(named("lines=", " done", _each_at_once)),
        repeated,
        exactly("line[0]", "line[1]", "line[2]", "p"),
        "lines: p line[0]=reject",
        given={"lines": ["x", "y", "z"]},
    ),
    _bug(
        "what is not idempotent is repeated",
        "After no answer a step is called again, whatever it promised.",
        editing(moved({"unknown"}, _CALLED, a.UNKNOWN, a.WAITING)),
        lambda: S(C("a"), C("b", contract=BARE), P(), R()),
        _ALL,
        "a b=lands",
    ),
    _bug(
        "the next way begins without an undo",
        "An alternative that failed counts as compensated as soon as it is drained.",
        editing(named("", " drained", lead(a.SCOPE_UNDOING, a.SCOPE_COMPENSATED))),
        _ways,
        _either(("fast/a", "fast/b", "p"), ("slow/z", "p")),
        "fast/a fast/b=lands fast/b=lost fast/b=lost",
    ),
    _bug(
        "the whole is undone, and its parts again",
        "After the nested saga's own compensation those of its steps run too.",
        editing(_whole_and_parts),
        lambda: _nested(_undo_whole),
        exactly("n/a", "n/b", "c", "p"),
        "n/a n/b c=reject",
    ),
    _bug(
        "an unfinished nested saga is left",
        "A nested saga that its parent stops is called compensated with its steps done.",
        editing(named("undo ", "", _held_is_clean)),
        _beside,
        exactly("n/a", "n/b", "x", "p"),
        "n/a x=reject",
    ),
    _bug(
        "the join waits for one branch",
        "What follows a parallel block starts when its first branch has ended.",
        _patching(_scopes.Rows, "exit", _first_only),
        lambda: S(parallel(C("a"), C("b")), P(), R()),
        _ALL,
        "a p b=reject",
    ),
    _bug(
        "a pivot in doubt has failed",
        "A pivot that is not answered counts as rejected, and what came before is undone.",
        editing(
            moved({"unknown", "exhausted"}, _CALLED | {a.WAITING}, a.WAITING, a.REJECTED, "pivot")
        ),
        lambda: S(C("a"), C("b"), P(retry=SEVERAL), R()),
        _ALL,
        "a b p=lands",
    ),
    _bug(
        "news of a late landing is dropped",
        "There is no row for late_done: a run stays compensated with an effect that stands.",
        editing(without("late_done")),
        lambda: S(C("a", contract=Contract(idempotent=True)), P(), R()),
        exactly("a", "p", "r"),
        "a=late a=lost a=lost a- late",
        world=Loose,
    ),
    _bug(
        "a duty that is refused counts as done",
        "A retriable's rejection completes the saga.",
        editing(moved({"rejected"}, _CALLED, a.STUCK, a.DONE, "retriable")),
        _chain,
        _ALL,
        "a b p r=reject",
    ),
    _bug(
        "both branches of a choice",
        "A branch asks whether it was chosen between, not whether it was chosen.",
        editing(named("enter ", "", _both_branches)),
        lambda: S(
            choice(
                lambda ctx: ctx.services.open, yes=C("x"), no=C("y"), otherwise=SKIP, name="which"
            ),
            P(),
        ),
        _either(("x", "p"), ("y", "p"), ("p",)),
        "",
    ),
    _bug(
        "the deadline turns nothing back",
        "When the time of a run is up that is noted, and the run goes on.",
        editing(deaf),
        lambda: S(C("a"), C("b"), deadline=10.0),
        _in_time,
        "a b=transient +15",
    ),
)
