"""``saga-fsm runs``, ``run --journal`` and ``audit --journal``: looked at, decided, carried on."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from saga_fsm import Orchestrator, Status
from saga_fsm.cli import main
from saga_fsm.cli.target import load
from saga_fsm.journals.sqlite import SqliteJournal


SAGAS = """
from saga_fsm import GUARDED, PENDING, Pending, Rejected, Retry, Saga, pivot, step
from pathlib import Path

HERE = Path(__file__).parent
def act(ctx) -> str: return ctx.step
def undo(ctx, result): ...
def refuse(ctx): raise Rejected("no")
def ask(ctx) -> dict | Pending: return PENDING
def fragile(ctx, result):
    if not (HERE / "mended").exists(): raise OSError("closed")

done = Saga("done", step(act, compensate=undo), pivot(act, name="p"), contract=GUARDED)
asked = Saga("asked", step(act, compensate=undo), step(ask, compensate=undo), contract=GUARDED)
stuck = Saga("stuck", step(act, compensate=fragile, compensation_retry=Retry(attempts=1)),
             pivot(refuse), contract=GUARDED)
other = Saga("done", step(act, compensate=undo), contract=GUARDED)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with sagas in it."""
    (tmp_path / "sagas_cli.py").write_text(SAGAS)
    return tmp_path


@pytest.fixture
def call(place: Path, capsys: pytest.CaptureFixture[str]):
    """Give a command line; its status and what it wrote."""
    url = f"sqlite:///{place / 's.db'}"

    def call(*arguments: str) -> tuple[int, str, str]:
        given = [one.format(f=place / "sagas_cli.py", j=url) for one in arguments]
        with pytest.raises(SystemExit) as ended:
            main(given)
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return call


def test_a_run_is_kept_listed_and_shown(call, place: Path) -> None:
    """``run --journal`` keeps it; ``runs list`` and ``show`` say what is there."""
    kept = ("run", "{f}:done", "--input", '{{"card": "1234"}}', "--journal", "{j}", "--id", "r-1")
    assert call(*kept)[0] == 0
    assert call(*kept)[0] == 0, "the same id is the same run"
    status, out, _ = call("runs", "list", "--journal", "{j}")
    assert status == 0
    assert out.startswith("r-1")
    assert "completed" in out
    status, out, _ = call("runs", "list", "--journal", "{j}", "--json")
    (listed,) = json.loads(out)["runs"]
    assert (listed["run_id"], listed["status"], listed["entries"]) == ("r-1", "completed", 3)
    assert call("runs", "list", "--journal", "{j}", "--status", "stuck")[1] == "no runs\n"
    status, out, _ = call("runs", "show", "r-1", "--journal", "{j}")
    assert "done(act)" in out
    assert "1234" in out
    status, out, _ = call("runs", "show", "r-1", "--journal", "{j}", "--redact", "card")
    assert "1234" not in out


def test_what_is_not_there_says_so(call) -> None:
    """A missing file is the environment's fault, a wrong URL or id the caller's."""
    assert call("runs", "list", "--journal", "{j}")[0] == 3
    status, _, err = call("runs", "list", "--journal", "mongo://x")
    assert status == 2
    assert "sqlite:///FILE" in err
    call("run", "{f}:done", "--journal", "{j}", "--id", "r-1")
    status, _, err = call("runs", "show", "nobody", "--journal", "{j}")
    assert status == 2
    assert "no run 'nobody'" in err


def test_a_stuck_run_is_ended_from_outside(call, place: Path) -> None:
    """``runs retry`` is stored, ``runs recover`` acts on it, and the run is compensated."""
    assert call("run", "{f}:stuck", "--journal", "{j}", "--id", "r")[0] == 4
    status, out, err = call("runs", "retry", "r", "--journal", "{j}", "--by", "ada", "--wait", "0")
    assert (status, out) == (0, "stored: retry for r\n")
    assert "nobody has acted" in err
    (place / "mended").touch()
    status, out, _ = call("runs", "recover", "{f}:stuck", "--journal", "{j}")
    assert (status, out) == (1, "1 compensated\n")
    _, out, _ = call("runs", "show", "r", "--journal", "{j}")
    assert "ada" in out
    assert call("audit", "{f}:stuck", "--journal", "{j}")[:2] == (
        0,
        "stuck: 1 runs follow the machine, 0 do not\n",
    )


def test_what_cannot_be_true_is_refused(call, place: Path) -> None:
    """An orchestrator that has the run says what it accepts; the run is as it was."""
    assert call("run", "{f}:stuck", "--journal", "{j}", "--id", "r")[0] == 4
    journal = SqliteJournal(place / "s.db")
    saga = load(f"{place / 'sagas_cli.py'}:stuck")
    with Orchestrator(saga, journal=journal, poll=0.02):
        resolve = ("runs", "resolve", "r", "--step", "act", "--journal", "{j}", "--as")
        status, out, _ = call(*resolve, "done")
        assert status == 1
        assert "does not accept 'resolve(act,done)'" in out
        status, out, _ = call(*resolve, "compensated", "--note", "ticket 88")
        assert (status, out) == (0, "done: resolve(act,compensated); r is compensated\n")
        status, out, _ = call("runs", "cancel", "r", "--journal", "{j}")
        assert (status, out) == (1, "unchanged: r was decided before\n")
    journal.close()


def test_an_answer_is_delivered(call, place: Path) -> None:
    """``runs deliver`` gives the answer of a pending step, ``runs reject`` its refusal."""
    journal = SqliteJournal(place / "s.db")
    saga = load(f"{place / 'sagas_cli.py'}:asked")
    with Orchestrator(saga, journal=journal, poll=0.02) as carried:
        for run_id in ("yes", "no"):
            carried.start(saga, run_id=run_id)
        while len(carried.runs(waiting="ask")) < 2:
            time.sleep(0.01)
        _, out, _ = call("runs", "list", "--journal", "{j}", "--waiting", "ask")
        assert out.count("waits for ask") == 2
        assert call("runs", "deliver", "yes", "ask", "{{", "--journal", "{j}")[0] == 2
        answer = ("runs", "deliver", "yes", "ask", '{{"by": "ada"}}', "--journal", "{j}")
        assert call(*answer)[0] == 0
        assert call("runs", "reject", "no", "ask", "too dear", "--journal", "{j}")[0] == 0
        assert carried.wait("yes", timeout=10).results["ask"] == {"by": "ada"}
        assert carried.wait("no", timeout=10).status is Status.COMPENSATED
        assert call(*answer)[0] == 1
    journal.close()


def test_two_recover_at_once(call, place: Path) -> None:
    """Runs that others started are carried out once, whoever takes them."""
    journal = SqliteJournal(place / "s.db")
    saga = load(f"{place / 'sagas_cli.py'}:done")
    with Orchestrator(saga, journal=journal, workers=0) as front:
        for number in range(20):
            front.start(saga, run_id=f"r-{number}")
    both = [
        threading.Thread(target=lambda: Orchestrator(saga, journal=journal).recover())
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert call("runs", "recover", "{f}:done", "--journal", "{j}")[0] == 0
    end = time.monotonic() + 10
    while len(journal.list_runs(status=Status.COMPLETED)) < 20:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert call("audit", "{f}:done", "--journal", "{j}")[0] == 0


def test_audit_finds_what_does_not_follow(call, place: Path) -> None:
    """An entry that the machine does not allow, and runs of another machine, are told apart."""
    call("run", "{f}:done", "--journal", "{j}", "--id", "good")
    call("run", "{f}:done", "--journal", "{j}", "--id", "bad")
    call("run", "{f}:other", "--journal", "{j}", "--id", "other")
    import sqlite3

    with sqlite3.connect(place / "s.db") as db:
        db.execute(
            "UPDATE saga_entries SET event = 'done(p)' WHERE position = 2"
            " AND run = (SELECT number FROM saga_runs WHERE run_id = 'bad')"
        )
    db.close()
    status, out, _ = call("audit", "{f}:done", "--journal", "{j}")
    assert status == 1
    assert "bad: done: entry 2 of 3 does not follow" in out
    assert "1 were started under another machine" in out
    assert call("audit", "{f}:done", "--journal", "{j}", "--id", "good")[0] == 0
    assert call("audit", "{f}:done")[0] == 2


def test_old_runs_are_pruned(call) -> None:
    """Runs that are over, and older, are deleted."""
    call("run", "{f}:done", "--journal", "{j}", "--id", "r")
    assert call("runs", "prune", "--journal", "{j}", "--older-than", "30d")[1] == "0 deleted\n"
    time.sleep(0.02)
    assert call("runs", "prune", "--journal", "{j}", "--older-than", "0s")[1] == "1 deleted\n"
    assert call("runs", "prune", "--journal", "{j}", "--older-than", "soon")[0] == 2
    assert call("runs", "list", "--journal", "{j}")[1] == "no runs\n"
