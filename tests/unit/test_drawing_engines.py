"""Turning DOT into pictures: whatever engine there is, and what is said when it does not work."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from saga_fsm import draw
from saga_fsm.drawing import _render
from saga_fsm.errors import DrawingEngineError
from saga_fsm.examples import transfer


PURE = shutil.which("graphviz-pure", path=str(Path(sys.executable).parent))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def no_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No engine on PATH: graphviz-pure is found beside the interpreter, as in a fresh venv."""
    if PURE is None:
        pytest.skip("graphviz-pure is absent: pip install -e '.[draw]'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SAGA_FSM_DOT", raising=False)


def engine(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Let an engine be a script that does this."""
    file = folder / "engine"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("SAGA_FSM_DOT", str(file))


@pytest.mark.usefixtures("no_dot")
def test_render_and_pipe_work_without_dot(tmp_path: Path) -> None:
    """Both of graphviz' ways to a picture find graphviz-pure where dot is not on PATH."""
    drawing = draw(transfer.saga)
    assert drawing.pipe("png").startswith(b"\x89PNG")
    assert drawing.pipe(encoding="utf-8").startswith("<?xml")
    written = drawing.render(outfile=tmp_path / "out.png")
    assert (tmp_path / "out.gv").read_text() == drawing.source
    assert Path(written).read_bytes().startswith(b"\x89PNG")
    assert drawing.render("flow", tmp_path, cleanup=True) == str(tmp_path / "flow.svg")
    assert not (tmp_path / "flow").exists()
    with pytest.raises(FileExistsError):
        drawing.render(outfile=tmp_path / "out.png", raise_if_result_exists=True)


def test_the_picture_tells_what_it_shows() -> None:
    """An SVG has a role, a title and a description, so that it can be heard."""
    root = ET.fromstring(draw(transfer.saga).pipe("svg"))  # noqa: S314 - our own picture
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "transfer"
    assert "pivot deposit" in (root.findtext(f"{SVG}desc") or "")


def test_render_writes_the_text_where_no_engine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the named engine the error names it, what to do, and the text that was written."""
    monkeypatch.setenv("SAGA_FSM_DOT", "no-such-engine")
    with pytest.raises(DrawingEngineError) as caught:
        draw(transfer.saga).render(outfile=tmp_path / "out.svg")
    assert "no-such-engine" in str(caught.value)
    assert "saga-fsm[draw]" in caught.value.remedy
    assert Path(caught.value.written).read_text().startswith("digraph")


def test_an_engine_that_hangs_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the time limit the error says so at once, though the engine left a child behind."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    engine(monkeypatch, tmp_path, f"sleep 30 > {pipe} & wait")
    monkeypatch.setattr(_render, "SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(DrawingEngineError, match=r"not done after 0\.5 s"):
        draw(transfer.saga).pipe("svg")
    os.set_blocking(reader, True)
    # The pipe ends when the last that holds it does: the child, whom nobody else waits for.
    with os.fdopen(reader, "rb") as held:
        assert held.read() == b""
    assert time.monotonic() - began < 10


def test_what_an_engine_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that fails is quoted, and a file that is no program is named."""
    engine(monkeypatch, tmp_path, "cat > /dev/null; echo 'no such format' >&2; exit 1")
    with pytest.raises(DrawingEngineError, match=r"gave no pdf \(status 1\): no such format"):
        draw(transfer.saga).pipe("pdf")
    (tmp_path / "engine").write_text("no program")
    with pytest.raises(DrawingEngineError, match="does not start"):
        draw(transfer.saga).pipe("pdf")
