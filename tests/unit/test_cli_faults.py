"""``saga-fsm faults``: what it finds, draws, replays and says, and its exit status."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from saga_fsm.cli import main


ORDER = "saga_fsm.examples.order"
TEAPOTS = '{"customer": "ada", "item": "teapot", "quantity": 2, "total": 4200}'
GOOD = (f"{ORDER}:saga", "--world", f"{ORDER}:World", "--input", TEAPOTS)
WORLDS = """
from saga_fsm.examples import order

class Forgetful(order.World):
    def pay_back(self, payment): self.till -= payment.amount

def never_back(world, outcome): return outcome.status.value != "compensated"
"""


def status_of(*arguments: str) -> int:
    """The exit status of one command."""
    with pytest.raises(SystemExit) as ending:
        main(["faults", *arguments])
    return int(ending.value.code or 0)


@pytest.fixture
def bad(tmp_path: Path) -> tuple[str, ...]:
    """A case in which the money does not come back."""
    file = tmp_path / "worlds.py"
    file.write_text(WORLDS)
    return (f"{ORDER}:saga", "--world", f"{file}:Forgetful", "--input", TEAPOTS)


def test_a_failing_run_prints_the_command_that_replays_it(
    bad: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With world, input and oracle, quoted for a shell: pasted, it fails for the same reason."""
    oracle = ("--consistent", f"{tmp_path / 'worlds.py'}:never_back")
    for case in (bad, (*bad[:3], *GOOD[3:], *oracle)):
        assert status_of(*case, "--max-faults", "0", "--max-runs", "300", "--json") == 1
        failure = json.loads(capsys.readouterr().out)["failures"][0]
        program, verb, *words = shlex.split(failure["replay"])
        assert (program, verb) == ("saga-fsm", "faults")
        assert status_of(*words, "--json") == 1
        assert json.loads(capsys.readouterr().out)["reason"] == failure["reason"]
        assert status_of(*case, "--max-faults", "0", "--max-runs", "300") == 1
        assert f"\n  {failure['replay']}\n" in capsys.readouterr().out


def test_quick_full_deeper_and_seed_say_how_much_is_tried(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Less, more, and other luck; the same seed gives the same."""

    def found(*options: str) -> tuple[int, dict[str, int]]:
        assert status_of(*GOOD, "--json", *options) == 0
        told = json.loads(capsys.readouterr().out)
        return told["runs"], told["fired"]

    small = ("--max-faults", "0", "--max-runs")
    assert found(*small, "40")[0] == 40
    assert found(*small, "40", "--full")[0] == 400
    assert found("--quick")[0] == 1_000


def test_luck_hangs_on_the_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plans that luck draws come after the others, and come again with the same seed."""
    file = tmp_path / "small.py"
    file.write_text(
        "from saga_fsm import GUARDED, Saga, readonly, pivot\n"
        "def look(ctx): ...\n"
        "saga = Saga('s', readonly(look), pivot(look, name='p'), contract=GUARDED)\n"
    )

    def found(*options: str) -> tuple[int, dict[str, int]]:
        assert status_of(f"{file}:saga", "--max-faults", "1", "--json", *options) == 0
        told = json.loads(capsys.readouterr().out)
        return told["runs"], told["fired"]

    none, some, other = (found(*x) for x in (["--deeper", "0"], [], ["--seed", "7"]))
    assert none[0] < some[0]
    assert some == found("--seed", "0")
    assert some[1] != other[1]


def test_it_draws_what_was_taken_and_each_failing_path(
    bad: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files are named on standard error: the output stays one JSON object."""
    file = tmp_path / "out.svg"
    run = ("--max-faults", "0", "--max-runs", "300", "--draw", str(file), "--json")
    assert status_of(*bad, *run) == 1
    said = capsys.readouterr()
    failures = json.loads(said.out)["failures"]
    assert "transition coverage" in file.read_text()
    for number in range(1, len(failures) + 1):
        one = tmp_path / f"out-failure-{number}.svg"
        assert "order \N{MIDDLE DOT} path of" in one.read_text()
        assert str(one) in said.err
    one = tmp_path / "one.dot"
    assert status_of(*bad, "--replay", failures[0]["plan"], "--draw", str(one)) == 1
    assert "path of" in one.read_text()
    assert status_of(*bad, "--draw", "out.pdf") == 2
    assert "is no format that is drawn" in capsys.readouterr().err


def test_an_engine_that_is_missing_is_status_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search was fine, its picture was not: its DOT text is there, and the status says so."""
    monkeypatch.setenv("SAGA_FSM_DOT", str(tmp_path / "none"))
    monkeypatch.setattr("saga_fsm.drawing._render.engine", lambda: None, raising=False)
    run = ("--max-faults", "0", "--max-runs", "20", "--draw", str(tmp_path / "out.svg"))
    assert status_of(*GOOD, *run) == 3
    assert (tmp_path / "out.dot").exists()


def test_interrupted_it_tells_what_it_has_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C gives the result until then, marked as not complete, and 130."""
    heard: list[int] = []

    def hear(_: object, done: int, *__: object) -> None:
        heard.append(done)
        if done == 25:
            raise KeyboardInterrupt

    monkeypatch.setattr("saga_fsm.cli.progress.Progress.__call__", hear)
    assert status_of(*GOOD, "--json") == 130
    told = json.loads(capsys.readouterr().out)
    assert (told["runs"], told["complete"], told["interrupted"]) == (25, False, True)
    assert status_of(*GOOD) == 130
    said = capsys.readouterr()
    assert "after 25 runs, the tour was cut short" in said.out
    assert said.err == "interrupted: not complete\n  Start it again, or with --quick.\n"


def test_interrupted_before_the_first_run_it_has_found_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """There is no result to show, and the status is the same."""
    file = tmp_path / "never.py"
    file.write_text("def World(): raise KeyboardInterrupt\n")
    assert status_of(f"{ORDER}:saga", "--world", f"{file}:World", "--input", TEAPOTS) == 130
    assert capsys.readouterr().err == "interrupted before the first run\n  Start it again.\n"


def test_what_tested_nothing_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """A search without one fault does not pass for a good one."""
    assert status_of(*GOOD, "--max-runs", "1", "--json") == 1
    assert json.loads(capsys.readouterr().out)["vacuous"] is True


@pytest.mark.heavy
def test_faults_ends_with_one_when_a_world_breaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure is shown with the plan that replays it; JSON has the same under a schema number."""
    file = tmp_path / "bad.py"
    file.write_text(
        "from saga_fsm.examples.order import *\n"
        "from saga_fsm.examples import order\n"
        "class Forgetful(order.World):\n"
        "    def pay_back(self, payment): self.till -= payment.amount\n"
    )
    case = [f"{file}:saga", "--world", f"{file}:Forgetful", "--input", TEAPOTS]
    with pytest.raises(SystemExit) as ending:
        main(["faults", *case, "--max-faults", "0", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (ending.value.code, told["schema"], told["ok"]) == (1, 1, False)
    plan = told["failures"][0]["plan"]
    with pytest.raises(SystemExit) as ending:
        main(["faults", *case, "--replay", plan, "--json"])
    again = json.loads(capsys.readouterr().out)
    assert (ending.value.code, again["reason"]) == (1, told["failures"][0]["reason"])


def test_faults_ends_with_zero_when_nothing_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """The example is run a thousand times and its coverage is said."""
    case = [f"{ORDER}:saga", "--world", f"{ORDER}:World", "--input", TEAPOTS]
    with pytest.raises(SystemExit) as ending:
        main(["faults", *case, "--max-faults", "0", "--max-runs", "300"])
    said = capsys.readouterr().out
    assert ending.value.code == 0
    assert "rows taken: " in said
    assert "the tour was cut short" in said


def test_a_replay_whose_fault_never_fired_tests_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A vacuous plan ends with 1 and says which fault it was; a wrong one is a usage error."""
    case = [f"{ORDER}:saga", "--world", f"{ORDER}:World", "--input", TEAPOTS]
    for plan, status in (("ship@7=reject", 1), ("ship=boom", 2), ("ship@0=reject", 0)):
        with pytest.raises(SystemExit) as ending:
            main(["faults", *case, "--replay", plan])
        assert ending.value.code == status
    assert "never fired: ship@7=reject" in capsys.readouterr().out
