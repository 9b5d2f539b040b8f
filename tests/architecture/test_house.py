"""The shape of the house: where imports point, what an import loads, which names are public."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import saga_fsm


ROOT = Path(__file__).parents[2]
# interface.md, in its order. A name is public as soon as its room stands, and not before.
ROOMS = {
    "saga_fsm.definition": """Saga step pivot retriable readonly parallel choice alternatives each
        pause SKIP PENDING Retry Policy Contract GUARDED Context Rejected Transient
        Block Step Pending""",
    "saga_fsm.compiler": "compile_saga",
    "saga_fsm.machine": "Machine Status",
    "saga_fsm.path": "Path",
    "saga_fsm.checker": "check Report",
    "saga_fsm.drawing": "draw",
    "saga_fsm.upgrade": "diff",
    "saga_fsm.conformance": "audit",
    "saga_fsm.runner": "run arun Orchestrator AsyncOrchestrator Outcome",
    "saga_fsm.choreography": "project",
}
ADAPTERS = ["journals", "transports", "interop", "engines"]  # one module each
CORE = [
    *["errors", "definition", "machine", "path", "compiler", "ports", "product", "properties"],
    *["checker", "upgrade", "conformance", "quant"],
]


def _python(code: str) -> str:
    # A measurement of coverage in the child would load what is asked for here.
    plain = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(  # noqa: S603 - our own
        command, capture_output=True, text=True, check=True, env=plain, cwd=ROOT
    )
    return done.stdout


def test_public_names_are_those_whose_room_stands() -> None:
    """``__all__`` is exactly the names of the interface that exist, and each can be had."""
    standing = {
        name
        for room, names in ROOMS.items()
        if find_spec(room)
        for name in names.split()
        if hasattr(import_module(room), name)
    }
    assert set(saga_fsm.__all__) == standing
    assert all(getattr(saga_fsm, name) is not None for name in standing)


def test_the_import_is_light() -> None:
    """``import saga_fsm`` loads nothing heavy."""
    heavy = "hypothesis graphviz transitions numpy asyncio sqlite3"
    code = f"import sys, saga_fsm; print(*[m for m in '{heavy}'.split() if m in sys.modules])"
    assert _python(code).split() == []


def test_every_standing_core_room_is_kept_pure() -> None:
    """A room of the core that has come is named in the contract that forbids I/O."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    pure = next(c for c in tool["contracts"] if c["type"] == "forbidden")["source_modules"]
    assert set(pure) >= {f"saga_fsm.{room}" for room in CORE if find_spec(f"saga_fsm.{room}")}


def test_every_standing_adapter_is_kept_apart() -> None:
    """An adapter that has come is named in the contract that keeps adapters apart."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    apart = next(c for c in tool["contracts"] if c["type"] == "independence")["modules"]
    standing = {
        f"saga_fsm.{room}.{path.stem}"
        for room in ADAPTERS
        for path in (ROOT / "saga_fsm" / room).glob("[!_]*.py")
    }
    assert set(apart) >= standing | {"saga_fsm.drawing"}


def test_what_is_not_covered_says_why() -> None:
    """A line left out of the coverage has its reason on the line."""
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "saga_fsm").rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "pragma: no cover" in line and not line.partition("pragma: no cover")[2].strip(" -")
    ]
    assert bare == []


def test_the_library_logs_and_never_prints() -> None:
    """A run that ends stuck says so on the logger ``saga_fsm`` and writes to no stream."""
    code = """
import logging, sys
from saga_fsm import *
from saga_fsm import Rejected, Retry, Saga, check, compile_saga, run, step
heard = []
class Ear(logging.Handler):
    def emit(self, record): heard.append(record)
def act(ctx): ...
def fail(ctx): raise Rejected("no")
def undo(ctx, result): raise OSError("the bank is closed")
once = Retry(attempts=1)
options = {"compensate": undo, "compensation_retry": once}
saga = Saga("s", step(act, **options), step(fail, **options))
quiet = run(saga)
logging.getLogger().addHandler(Ear())
loud = run(saga)
check(saga)
assert quiet.status is loud.status and loud.status.name == "STUCK", loud
assert heard and {record.name for record in heard} == {"saga_fsm"}, heard
assert any(isinstance(x, logging.NullHandler) for x in logging.getLogger("saga_fsm").handlers)
"""
    plain = [sys.executable, "-c", code]
    done = subprocess.run(  # noqa: S603 - our own
        plain, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_arrow_points_down() -> None:
    """The import contracts hold."""
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("import-linter is absent: pip install -e '.[lint]'")
    done = subprocess.run(  # noqa: S603 - our own
        [linter], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
