"""``saga-fsm forecast``: text, JSON, and odds from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from saga_fsm.cli import main


ORDER = "saga_fsm.examples.order_with_retries:saga"


def said(arguments: list[str], capsys: Any) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    with pytest.raises(SystemExit) as ending:
        main(["forecast", *arguments])
    out, err = capsys.readouterr()
    return int(ending.value.code or 0), out, err


def test_without_odds_it_says_what_it_assumes(capsys: Any) -> None:
    """The report goes to standard output, what was assumed to standard error, with the remedy."""
    status, out, err = said([ORDER], capsys)
    assert status == 0
    assert out.startswith("order_with_retries: completes with probability 0.931,")
    assert "complete send_receipt" in out
    assert "odds of 1 in 100" in err
    assert "--write-odds" in err


def test_a_file_is_written_filled_in_and_read(tmp_path: Path, capsys: Any) -> None:
    """``--write-odds`` gives what ``--odds`` takes."""
    file = tmp_path / "odds.json"
    assert said([ORDER, "--write-odds", str(file)], capsys) == (0, f"{file}\n", "")
    odds = json.loads(file.read_text())
    odds["odds"]["send_receipt"]["rejected"] = 0.5
    file.write_text(json.dumps(odds))
    status, out, err = said([ORDER, "--odds", str(file), "--json"], capsys)
    assert (status, err) == (0, "")
    plain = json.loads(out)
    assert plain["schema"] == 1
    assert plain["contributions"][0]["step"] == "send_receipt"
    assert set(plain) == {
        *("schema", "saga", "fingerprint", "states", "edges", "widest", "probability", "owed"),
        *("attempts", "queries", "compensations", "work", "elapsed", "contributions"),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ('{"odds": {"chrage": {}}}', "has no step 'chrage'"),
        ('{"odds": {"charge": {"rejected": 2}}}', "the odds 'rejected' are 2"),
        ('{"odds": {"charge": {"rejected": 0.1}}}', "'create_order' has no odds"),
    ],
)
def test_wrong_odds_are_a_wrong_use(text: str, says: str, tmp_path: Path, capsys: Any) -> None:
    """Status 2, one line of fact and one of remedy, no traceback."""
    file = tmp_path / "odds.json"
    file.write_text(text)
    status, out, err = said([ORDER, "--odds", str(file)], capsys)
    assert (status, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


def test_too_many_states_are_an_error(capsys: Any) -> None:
    """Status 2, and what helps."""
    status, _, err = said([ORDER, "--limit", "10"], capsys)
    assert status == 2
    assert "more than 10 states" in err
    assert said(["no.such:saga"], capsys)[0] == 2
