"""Turning DOT into pictures with whatever engine there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import graphviz
from typing_extensions import override

from saga_fsm.errors import DrawingEngineError


_SECONDS = 60  # a layout of a thousand nodes may never end; one that is legible takes less


def engine() -> str | None:
    """
    The program that draws: ``SAGA_FSM_DOT``, else ``dot``, else ``graphviz-pure``.

    The last one is also looked for beside the running interpreter: an environment that is not
    activated has it off PATH.
    """
    named = os.environ.get("SAGA_FSM_DOT")
    if named:
        return shutil.which(named)
    beside = str(Path(sys.executable).parent)
    return (
        shutil.which("dot")
        or shutil.which("graphviz-pure")
        or shutil.which("graphviz-pure", path=beside)
    )


def picture(source: str, form: str) -> bytes:
    """
    Draw DOT text as "svg" or "png".

    Raises:
        DrawingEngineError: there is no engine, or it failed.
    """
    program = engine()
    if program is None:
        raise DrawingEngineError
    done = subprocess.run(  # noqa: S603 - a program that the user installed or named
        [program, f"-T{form}"],
        input=source.encode(),
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode != 0:
        raise DrawingEngineError
    return done.stdout


class Drawing(graphviz.Digraph):  # type: ignore[misc] # the package has no types
    """A ``graphviz.Digraph`` whose ``pipe`` finds our engines; shows itself in notebooks."""

    @override
    def pipe(self, format: str | None = None, **options: Any) -> bytes:
        """The picture as bytes; "svg" unless said."""
        return picture(self.source, format or "svg")

    def _repr_svg_(self) -> str | None:
        """For notebooks; never raises, and shows the text where no engine is."""
        try:
            return self.pipe("svg").decode()
        except (DrawingEngineError, OSError, subprocess.SubprocessError):
            return None

    @override
    def _repr_mimebundle_(self, *args: Any, **options: Any) -> dict[str, str]:
        svg = self._repr_svg_()
        return {"text/plain": self.source} if svg is None else {"image/svg+xml": svg}
