"""The command line says what is true and ends with the right status."""

from __future__ import annotations

import pytest

from saga_fsm.cli import main


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
