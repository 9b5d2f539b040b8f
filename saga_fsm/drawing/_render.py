"""
From DOT text to a picture, by whatever engine there is.

The order: ``SAGA_FSM_DOT``, ``dot`` on PATH, ``graphviz-pure`` on PATH or beside the running
interpreter (an environment that is not activated has it off PATH).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from saga_fsm.errors import DrawingEngineError


SECONDS = 60.0  # a layout of a thousand nodes may never end; one that is legible takes less
_SAID = 300


def engine() -> str | None:
    """The program that draws, or None."""
    named = os.environ.get("SAGA_FSM_DOT")
    if named:
        return shutil.which(named)
    beside = str(Path(sys.executable).parent)
    return (
        shutil.which("dot")
        or shutil.which("graphviz-pure")
        or shutil.which("graphviz-pure", path=beside)
    )


def picture(source: str, form: str, *, flags: Sequence[str] = ()) -> bytes:
    """
    Draw DOT text as "svg", "png" or what else the engine writes.

    Args:
        source: the DOT text.
        form: the format.
        flags: more options of the engine, for instance ``-Kneato``.

    Raises:
        DrawingEngineError: there is no engine, it failed, or it took over a minute.

    """
    program = engine()
    if program is None:
        raise _missing()
    try:
        code, out, said = _run([program, f"-T{form}", *flags], source.encode())
    except OSError as error:
        raise DrawingEngineError(
            message=f"the drawing engine '{program}' does not start: {error.strerror}",
            remedy="Name another one in SAGA_FSM_DOT, or pip install 'saga-fsm[draw]'.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DrawingEngineError(
            message=f"the drawing engine '{program}' was not done after {SECONDS:g} s",
            remedy="Draw a part of it, or write the .dot and lay it out with more patience.",
        ) from error
    if code != 0 or not out:
        words = " ".join(said.decode(errors="replace").split())[:_SAID] or "it says nothing"
        raise DrawingEngineError(
            message=f"the drawing engine '{program}' gave no {form} (status {code}): {words}",
            remedy="Not every engine writes every format: svg and png always work.",
        )
    return out


def _missing() -> DrawingEngineError:
    named = os.environ.get("SAGA_FSM_DOT")
    if not named:
        return DrawingEngineError()
    return DrawingEngineError(
        message=f"SAGA_FSM_DOT names '{named}', and there is no such program",
        remedy="Unset it where dot is on PATH, or pip install 'saga-fsm[draw]'.",
    )


def _run(command: Sequence[str], text: bytes) -> tuple[int, bytes, bytes]:
    """Run a program to its end, or end it and all that it started."""
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - a program that the user installed or named
        command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    ) as process:
        try:
            out, said = process.communicate(text, timeout=SECONDS)
        except BaseException:
            # An engine may be a script: the layout that hangs is then its child, and would go on.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out, said
