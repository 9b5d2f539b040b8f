"""``saga-fsm runs``, ``run --journal`` and ``audit --journal``: looked at, decided, carried on."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from saga_fsm import Orchestrator, Status
from saga_fsm.cli import main
from saga_fsm.cli.target import load
from saga_fsm.journals.sqlite import SqliteJournal


SAGAS = """
from saga_fsm import GUARDED, PENDING, Pending, Rejected, Retry, Saga, pivot, step
from contextlib import closing
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
hurried = Saga("hurried", step(ask, compensate=undo, timeout=0.1), contract=GUARDED)
typed = Saga("typed", step(act, compensate=undo), input=int, contract=GUARDED)
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
    assert status == 1
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


def test_a_run_that_was_stuck_before_is_told_at_each_recovery(call) -> None:
    """Status 4 as long as somebody owes something, whoever's call it got stuck in."""
    assert call("run", "{f}:stuck", "--journal", "{j}", "--id", "r")[0] == 4
    recover = ("runs", "recover", "{f}:stuck", "{f}:done", "--journal", "{j}")
    status, out, err = call(*recover)
    assert (status, out) == (4, "no run has come to rest\n")
    assert "r is stuck, and owes compensate act: `saga-fsm runs retry` or `resolve`" in err
    assert json.loads(call(*recover, "--json")[1])["stuck"] == ["r"]
    # Another saga's trouble is not asked for.
    assert call("runs", "recover", "{f}:done", "--journal", "{j}")[0] == 0


def test_a_step_that_no_run_waits_for_is_told(call) -> None:
    """Beside those that runs wait for: a misspelt name looks like good news."""
    call("run", "{f}:asked", "--journal", "{j}", "--id", "w")
    status, out, err = call("runs", "list", "--journal", "{j}", "--waiting", "aks")
    assert (status, out) == (0, "no runs\n")
    assert err == "no run waits for a step 'aks'; others wait for 'ask'\n"


def test_a_run_that_is_not_kept_says_what_it_waits_for(call) -> None:
    """Until the step's time is up, which nobody can shorten."""
    status, out, err = call("run", "{f}:hurried")
    assert (status, out.count("unknown(ask)")) == (1, 1)
    assert err.startswith("the run waits for 'ask' for 0.1 s: nobody can answer it here")


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


def test_a_run_that_waits_is_kept_and_goes_on_with_what_was_stored(call, place: Path) -> None:
    """``run --journal`` ends with the command that answers; run again it hears the answer."""
    start = ("run", "{f}:asked", "--journal", "{j}", "--id", "w")
    status, out, err = call(*start)
    assert (status, out) == (1, "")
    assert f"saga-fsm runs deliver w ask JSON --journal sqlite:///{place / 's.db'}" in err
    told = json.loads(call(*start, "--json")[1])
    assert told == {"schema": 1, "run_id": "w", "status": "running", "waiting": ["ask"]}
    status, out, err = call("runs", "recover", "{f}:asked", "--journal", "{j}")
    assert status == 1
    assert "w waits for ask: `saga-fsm runs deliver`" in err
    answer = ("runs", "deliver", "w", "ask", '{{"by": "ada"}}', "--journal", "{j}", "--wait", "0")
    assert call(*answer)[0] == 0
    status, out, _ = call(*start)
    assert (status, out.splitlines()[0]) == (0, "w: completed")
    status, _, err = call("run", "{f}:asked")
    assert status == 1
    assert "--journal URL" in err
    assert "answers=" not in err


def test_what_waits_is_refused_with_a_reason(call, place: Path) -> None:
    """As an argument or as a note; both would be one too many."""
    call("run", "{f}:asked", "--journal", "{j}", "--id", "w")
    no = ("runs", "reject", "w", "ask", "--journal", "{j}", "--wait", "0", "--note", "too dear")
    assert call(*no, "--by", "ada")[0] == 0
    assert call("runs", "reject", "w", "ask", "too dear", *no[4:])[0] == 2
    status, out, _ = call("run", "{f}:asked", "--journal", "{j}", "--id", "w")
    assert (status, out.splitlines()[0]) == (1, "w: compensated")
    assert "too dear" in call("runs", "show", "w", "--journal", "{j}")[1]


def test_nothing_is_taken_for_a_value_only_where_it_may_be(call) -> None:
    """No result and no input, where the annotations name a type, are refused and not stored."""
    call("run", "{f}:asked", "--journal", "{j}", "--id", "w")
    status, _, err = call("runs", "deliver", "w", "ask", "--journal", "{j}", "--wait", "0")
    assert (status, "Missing argument 'JSON'" in err) == (2, True)
    assert call("runs", "deliver", "w", "ask", "null", "--journal", "{j}", "--wait", "0")[0] == 0
    call("run", "{f}:asked", "--journal", "{j}", "--id", "w")
    shown = call("runs", "show", "w", "--journal", "{j}")[1]
    assert "refused: the result of step 'ask' (dict) cannot be stored: it is None" in shown
    wrong = ("runs", "deliver", "w", "ask", '"yes"', "--journal", "{j}", "--wait", "0")
    assert call(*wrong)[0] == 0
    call("run", "{f}:asked", "--journal", "{j}", "--id", "w")
    shown = call("runs", "show", "w", "--journal", "{j}")[1]
    assert "(dict) cannot be stored: a value of class str is no object for dict" in shown
    assert "Give what the annotation says" in shown
    status, _, err = call("run", "{f}:typed", "--journal", "{j}", "--id", "t")
    assert status == 2
    assert "the input of saga 'typed' (int) cannot be stored: it is None" in err
    assert call("runs", "show", "t", "--journal", "{j}")[0] == 1


@pytest.mark.parametrize(
    "verb",
    [
        ("list",),
        ("show", "r"),
        ("retry", "r"),
        ("cancel", "r"),
        ("deliver", "r", "ask", "1"),
        ("reject", "r", "ask"),
        ("resolve", "r", "--step", "act", "--as", "done"),
        ("prune", "--older-than", "1d"),
        ("recover", "{f}:done"),
    ],
)
def test_no_verb_writes_into_a_file_that_is_no_journal(call, place: Path, verb) -> None:
    """A database of the user's own is left as it is, and a file that is not there stays so."""
    status, _, err = call("runs", *verb, "--journal", "{j}")
    assert (status, "no such file" in err) == (3, True)
    assert not (place / "s.db").exists()
    with closing(sqlite3.connect(place / "s.db")) as own:
        own.execute("CREATE TABLE purses (name TEXT)")
    before = (place / "s.db").read_bytes()
    status, _, err = call("runs", *verb, "--journal", "{j}")
    assert (status, "no tables of saga_fsm" in err) == (3, True)
    assert (place / "s.db").read_bytes() == before


@pytest.mark.parametrize(
    "verb",
    [
        ("show", "nobody"),
        ("retry", "nobody"),
        ("cancel", "nobody"),
        ("deliver", "nobody", "ask", "1"),
        ("reject", "nobody", "ask"),
        ("resolve", "nobody", "--step", "act", "--as", "done"),
    ],
)
def test_a_run_that_is_not_there_is_a_finding(call, verb) -> None:
    """Status 1 with every verb: the command was right, and the journal has no such run."""
    call("run", "{f}:done", "--journal", "{j}", "--id", "r")
    status, _, err = call("runs", *verb, "--journal", "{j}")
    assert (status, "no run 'nobody'" in err) == (1, True)


def test_an_audit_of_nothing_is_no_success(call) -> None:
    """Who asks whether all runs follow the machine wants to know that there are some."""
    call("run", "{f}:done", "--journal", "{j}", "--id", "r")
    status, _, err = call("audit", "{f}:asked", "--journal", "{j}")
    assert (status, "nothing was looked at" in err) == (1, True)
    assert (
        "no run of a saga 'dnoe'" in call("runs", "list", "--saga", "dnoe", "--journal", "{j}")[2]
    )


def test_recover_waits_for_the_lease_of_an_owner_that_is_gone(call, place: Path) -> None:
    """It says what for; at the end all is at rest, or it says what is left."""
    code = f"""
import os, time
from saga_fsm import Orchestrator
from saga_fsm.cli.target import load
from saga_fsm.journals.sqlite import SqliteJournal
done = load({str(place / "sagas_cli.py")!r} + ":slow")
carried = Orchestrator(done, journal=SqliteJournal({str(place / "s.db")!r}), lease=2.0)
carried.start(done, run_id="r")
time.sleep(0.5)
os.kill(os.getpid(), 9)
"""
    source = place / "sagas_cli.py"
    slow = "import time\ndef later(ctx):\n    if not (HERE / 'mended').exists(): time.sleep(60)\n"
    slow += 'slow = Saga("slow", step(later, compensate=undo), contract=GUARDED)\n'
    source.write_text(SAGAS + slow)
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)  # noqa: S603 - our own
    (place / "mended").touch()
    status, out, err = call("runs", "recover", "{f}:slow", "--journal", "{j}", "--timeout", "0")
    assert (status, out) == (1, "no run has come to rest\n")
    assert "r is still running" in err
    status, out, err = call("runs", "recover", "{f}:slow", "--journal", "{j}")
    assert (status, out) == (0, "1 completed\n")
    assert "waiting for r, which owner" in err


@pytest.mark.parametrize("hits", [1, 2])
def test_a_kept_run_that_is_interrupted_goes_on_later(call, place: Path, hits: int) -> None:
    """Ctrl-C leaves it as it is, with status 130, and the same command ends it."""
    source = place / "sagas_cli.py"
    slow = "import time\ndef later(ctx):\n    (HERE / 'there').touch()\n"
    slow += "    if not (HERE / 'mended').exists(): time.sleep(4)\n"
    slow += 'slow = Saga("slow", step(later, compensate=undo), contract=GUARDED)\n'
    source.write_text(SAGAS + slow)
    url = f"sqlite:///{place / 's.db'}"
    command = [sys.executable, "-m", "saga_fsm", "run", f"{source}:slow", "--journal", url]
    child = subprocess.Popen([*command, "--id", "r"], stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own
    while not (place / "there").exists():
        time.sleep(0.02)
    for _ in range(hits):
        child.send_signal(signal.SIGINT)
        time.sleep(0.3)
    child.communicate(timeout=30)
    assert child.returncode == 130
    (place / "mended").touch()
    status, out, _ = call("run", "{f}:slow", "--journal", "{j}", "--id", "r")
    assert (status, out.splitlines()[0]) == (0, "r: completed")


@pytest.mark.parametrize("hits", [1, 2])
def test_recover_that_is_interrupted_gives_its_runs_back(call, place: Path, hits: int) -> None:
    """Status 130; whoever comes next need not wait for a lease, or once it has been cut short."""
    source = place / "sagas_cli.py"
    slow = "import time\ndef later(ctx):\n    (HERE / 'there').touch()\n"
    slow += "    if not (HERE / 'mended').exists(): time.sleep(2)\n"
    slow += 'slow = Saga("slow", step(later, compensate=undo), contract=GUARDED)\n'
    source.write_text(SAGAS + slow)
    journal = SqliteJournal(place / "s.db")
    saga = load(f"{source}:slow")
    with Orchestrator(saga, journal=journal, workers=0) as front:
        front.start(saga, run_id="r")
    url = f"sqlite:///{place / 's.db'}"
    command = [sys.executable, "-m", "saga_fsm", "runs", "recover", f"{source}:slow"]
    child = subprocess.Popen([*command, "--journal", url], stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own
    while not (place / "there").exists():
        time.sleep(0.02)
    for _ in range(hits):
        child.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, err = child.communicate(timeout=30)
    assert (child.returncode, "Traceback" in err) == (130, False)
    run, _ = journal.find("r") or pytest.fail("the run is gone")
    assert (run.status, run.owner) == (Status.COMPLETED if hits == 1 else run.status, "")
    journal.close()
    (place / "mended").touch()
    assert call("runs", "recover", "{f}:slow", "--journal", "{j}")[0] == 0
    assert call("run", "{f}:slow", "--journal", "{j}", "--id", "r")[0] == 0
