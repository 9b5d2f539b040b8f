"""The examples about recovery and retries, across processes that die at each of their calls."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from saga_fsm import Status
from tests.durable_examples import carry


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["order_recovered", "order_with_retries"])
@pytest.mark.parametrize("refusing", ["", "ship"])
@pytest.mark.parametrize("dies_at", [1, 3, 4, 6])
def test_an_order_survives_its_processes(
    tmp_path: Path, name: str, refusing: str, dies_at: int
) -> None:
    """The process dies after an effect and before its answer is stored; the next one ends it."""
    url, world = f"sqlite:///{tmp_path / 'sagas.db'}", tmp_path / "world"
    command = [sys.executable, "-m", "tests.durable_examples", name, url, str(world)]
    done = subprocess.run(  # noqa: S603 - our own
        [*command, str(dies_at), refusing],
        cwd=ROOT,
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    died = done.returncode == 9
    assert died or done.stdout.strip() in {"completed", "compensated"}, done.stderr
    outcome, after = carry(name, url, world, 0, refusing)
    assert outcome.status is (Status.COMPENSATED if refusing else Status.COMPLETED)
    example = importlib.import_module(f"saga_fsm.examples.{name}")
    assert example.consistent(after, outcome)
    # At the last of these there is nothing left to die at, where it goes through.
    assert died or dies_at == 6
