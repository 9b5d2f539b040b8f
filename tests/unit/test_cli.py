"""The command line says what is true and ends with the right status."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from saga_fsm.cli import main


@pytest.mark.heavy
def test_demo_reaches_each_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    """The demo shows a path to completed, to compensated and to stuck, and ignores no event."""
    with pytest.raises(SystemExit) as ending:
        main(["demo"])
    said = capsys.readouterr().out
    assert ending.value.code == 0
    assert all(f": {word}\n" in said for word in ("completed", "compensated", "stuck"))
    assert "ignored" not in said


def test_a_wrong_verb_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown verb ends with 2, and the message goes to standard error."""
    with pytest.raises(SystemExit) as ending:
        main(["dance"])
    assert ending.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt(), 130), (ValueError("no such saga"), 2)]
)
def test_errors_are_two_lines(
    raised: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What goes wrong is a line of fact and a line of remedy, with its status and no traceback."""

    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("saga_fsm.cli.saga_fsm.main", fail)
    with pytest.raises(SystemExit) as ending:
        main(["demo"])
    assert ending.value.code == status
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(
    ("target", "status", "says"),
    [
        ("saga_fsm.examples.order:saga", 0, "order: safe"),
        ("saga_fsm.examples.order:World", 2, ""),
        ("no.such.module:saga", 2, ""),
        ("order", 2, ""),
        ("missing.py:saga", 2, ""),
    ],
)
def test_check_ends_with_its_status(
    target: str, status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` ends with 0 for a safe saga, and with 2 and a remedy for what is no saga."""
    with pytest.raises(SystemExit) as ending:
        main(["check", target])
    assert ending.value.code == status
    assert says in capsys.readouterr().out


def test_check_of_a_file_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unsafe saga in a file gives 1, and one JSON object with a schema number."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from saga_fsm import Saga, step\n"
        "def act(ctx): ...\n"
        "def undo(ctx, result): ...\n"
        "saga = Saga('mine', step(act, compensate=undo))\n"
    )
    with pytest.raises(SystemExit) as ending:
        main(["check", f"{file}:saga", "--json"])
    assert ending.value.code == 1
    plain = json.loads(capsys.readouterr().out)
    assert (plain["schema"], plain["verdict"]) == (1, "unsafe")


def test_check_cut_short_is_not_ok(capsys: pytest.CaptureFixture[str]) -> None:
    """A search over its limit is incomplete and ends with 1."""
    with pytest.raises(SystemExit) as ending:
        main(["check", "saga_fsm.examples.order:saga", "--limit", "50"])
    assert ending.value.code == 1
    assert "incomplete" in capsys.readouterr().out


MINE = """
from saga_fsm import GUARDED, Rejected, Retry, Saga, pivot, step

def act(ctx):
    ctx.services.append(ctx.key)
    return ctx.input

def undo(ctx, result):
    if ctx.input == "stuck":
        raise OSError("away")

def decide(ctx):
    if ctx.input != "fine":
        raise Rejected("no")

first = step(act, compensate=undo, compensation_retry=Retry(attempts=1))
saga = Saga("mine", first, pivot(decide), contract=GUARDED)
"""


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [("fine", "completed", 0), ("no", "compensated", 1), ("stuck", "stuck", 4)],
)
def test_run_ends_with_its_outcome(
    value: str, status: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` calls the actions and ends with 0, 1 or 4; its JSON says the same."""
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    with pytest.raises(SystemExit) as ending:
        main(
            [
                *("run", f"{file}:saga", "--input", json.dumps(value)),
                *("--services", "builtins:list", "--id", "r1", "--json"),
            ]
        )
    plain = json.loads(capsys.readouterr().out)
    assert ending.value.code == code
    assert (plain["schema"], plain["status"], plain["run_id"]) == (1, status, "r1")
    assert plain["unresolved"] == ({"act": "compensate"} if status == "stuck" else {})


def test_run_refuses_what_is_no_json(tmp_path: Path) -> None:
    """A wrong input is a usage error, before anything is called."""
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    with pytest.raises(SystemExit) as ending:
        main(["run", f"{file}:saga", "--input", "{"])
    assert ending.value.code == 2


def test_two_interrupts_stop_a_run(tmp_path: Path) -> None:
    """Ctrl-C compensates first and ends with 130; a second one during that stops at once."""
    file = tmp_path / "slow.py"
    file.write_text(
        "import threading\n"
        "from saga_fsm import Saga, step\n"
        "def wait(ctx):\n    print('acting', flush=True)\n    threading.Event().wait(60)\n"
        "def undo(ctx, result):\n    print('undoing', flush=True)\n    threading.Event().wait(60)\n"
        "saga = Saga('slow', step(wait, compensate=undo))\n"
    )
    command = [sys.executable, "-m", "saga_fsm", "run", f"{file}:saga"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as child:  # noqa: S603 - our own
        assert child.stdout is not None
        assert child.stdout.readline() == "acting\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "undoing\n"
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "interrupted" in errors


ORDER = "saga_fsm.examples.order"
TEAPOTS = '{"customer": "ada", "item": "teapot", "quantity": 2, "total": 4200}'


def test_an_input_becomes_what_the_actions_take(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is given to the steps as the type that their context names, and shown as JSON again."""
    with pytest.raises(SystemExit) as ending:
        main(["run", f"{ORDER}:saga", "--input", TEAPOTS, "--services", f"{ORDER}:World", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ending.value.code == 0
    assert told["results"]["charge"] == {"customer": "ada", "amount": 4200}


def test_an_input_that_does_not_fit_names_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing and what is too much is told, and nothing was called."""
    with pytest.raises(SystemExit) as ending:
        main(["run", f"{ORDER}:saga", "--input", '{"customer": "ada", "itm": 1}'])
    said = capsys.readouterr().err
    assert ending.value.code == 2
    assert all(word in said for word in ("Order", "'quantity'", "'itm'", '"total": ...'))


def test_two_targets_in_one_file_are_one_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A property names a step by its function, and a saga stands beside itself."""
    file = tmp_path / "both_in_one.py"
    file.write_text(
        "from saga_fsm import GUARDED, Saga, pivot, step\n"
        "from saga_fsm.properties import landed, never, undone\n"
        "def act(ctx): ...\n"
        "def undo(ctx, result): ...\n"
        "saga = Saga('s', step(act, compensate=undo, writes='x'), contract=GUARDED)\n"
        "wanted = never(landed(act) & undone(act), name='one or the other')\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["check", f"{file}:saga", "--property", f"{file}:wanted"])
    assert ended.value.code == 0
    with pytest.raises(SystemExit) as ended:
        main(["check", f"{file}:saga", "--against", f"{file}:saga"])
    assert ended.value.code == 1
    assert "s#1, s#2: unsafe" in capsys.readouterr().out
    file.write_text("from saga_fsm import Saga\nsaga = 3\n")
    with pytest.raises(SystemExit) as ended:
        main(["check", f"{file}:saga"])
    assert ended.value.code == 2


def test_each_command_says_in_one_line_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """The list of commands is read before any of them, and no line of it is cut off."""
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = capsys.readouterr().out.partition("Commands:")[2].strip().splitlines()
    assert len(commands) >= 10
    assert not [one for one in commands if one.endswith("...") or not one.endswith(".")]


def test_a_target_finds_the_modules_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``python FILE`` does from anywhere, and ``python -m MODULE`` from its own folder."""
    monkeypatch.setattr(sys, "path", [x for x in sys.path if x not in {"", str(Path.cwd())}])
    for folder in ("one", "two"):
        there = tmp_path / folder
        there.mkdir()
        (there / f"beside_{folder}.py").write_text("def act(ctx): ...\n")
        saga = f"from beside_{folder} import act\nfrom saga_fsm import Saga, readonly\n"
        (there / f"target_{folder}.py").write_text(f"{saga}saga = Saga('s', readonly(act))\n")
    monkeypatch.chdir(tmp_path / "two")
    for target in (f"{tmp_path}/one/target_one.py:saga", "target_two:saga"):
        with pytest.raises(SystemExit) as ended:
            main(["check", target])
        assert not ended.value.code, capsys.readouterr()
