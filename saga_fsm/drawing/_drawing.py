"""What ``draw`` gives: a ``graphviz.Digraph`` that finds our engines and tells what it shows."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, TypeAlias

import graphviz
from typing_extensions import override

from saga_fsm.drawing._render import picture
from saga_fsm.drawing._text import markup
from saga_fsm.errors import DrawingEngineError


_File: TypeAlias = str | os.PathLike[str]


class Drawing(graphviz.Digraph):  # type: ignore[misc] # the package has no types
    """
    A ``graphviz.Digraph`` whose ``pipe`` and ``render`` find our engines; shown by notebooks.

    ``source`` is the DOT text, which needs no engine. All else is as graphviz documents it.

    Args:
        title: what is drawn; the title of the SVG too.
        subtitle: what is to be known about it; told to those who hear the SVG.
    """

    def __init__(self, title: str, subtitle: str) -> None:
        super().__init__("saga", format="svg")
        self.title = title
        self.subtitle = subtitle

    # The package lets the first arguments stand by position, with a warning; here they may not.
    @override
    def pipe(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        format: str | None = None,
        renderer: str | None = None,
        formatter: str | None = None,
        *,
        neato_no_op: int | None = None,
        quiet: bool = False,
        engine: str | None = None,
        encoding: str | None = None,
    ) -> Any:
        """
        Give the picture as bytes, or as text with an ``encoding``; "svg" unless said.

        Raises:
            DrawingEngineError: there is no engine, it failed, or it took over a minute.
        """
        form, layout = format or self.format, engine or self.engine
        flags = [] if layout == "dot" else [f"-K{layout}"]
        flags += [] if neato_no_op is None else [f"-n{int(neato_no_op)}"]
        flags += ["-q"] if quiet else []
        wanted = ":".join(part for part in (form, renderer, formatter) if part)
        data = picture(self.source, wanted, flags=flags)
        if form == "svg":
            data = self._told(data.decode()).encode()
        return data.decode(encoding) if encoding else data

    @override
    def render(  # pyright: ignore[reportIncompatibleMethodOverride] - as for pipe
        self,
        filename: _File | None = None,
        directory: _File | None = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        *,
        quiet_view: bool = False,
        outfile: _File | None = None,
        raise_if_result_exists: bool = False,
        overwrite_source: bool = False,
        **options: Any,
    ) -> str:
        """
        Write the DOT text, and the picture beside it; answers the picture's path.

        ``outfile`` names the picture, and by its suffix the format.

        Raises:
            DrawingEngineError: as ``pipe``; the DOT text is written, and named in the error.
            FileExistsError: the picture is there, and ``raise_if_result_exists``.
            ValueError: the picture would be written over its DOT text.
        """
        folder = directory or self.directory or ""
        target = None if outfile is None else Path(os.fsdecode(folder), outfile)
        if target is not None:
            filename, directory = filename or target.with_suffix(".gv"), None
            format = format or target.suffix.removeprefix(".")  # noqa: A001
        form = format or self.format
        source = Path(self.save(filename, directory=directory))
        target = target or source.with_name(f"{source.name}.{form}")
        if raise_if_result_exists and target.exists():
            raise FileExistsError(f"output file exists: '{target}'")
        if target.resolve() == source.resolve() and not overwrite_source:
            raise ValueError(f"'{target}' is the DOT text itself: give another outfile")
        try:
            data = self.pipe(form, **options)
        except DrawingEngineError as error:
            error.written = str(source)
            raise
        target.write_bytes(data)
        if cleanup:
            source.unlink()
        if view or quiet_view:
            self._view(str(target), format=form, quiet=quiet_view)
        return str(target)

    def _told(self, svg: str) -> str:
        """Name the picture for those who hear it: Graphviz makes no alternative text."""
        words = f"<title>{markup(self.title)}</title>\n<desc>{markup(self.subtitle)}</desc>\n"
        return re.sub(
            r"<svg\b([^>]*)>", lambda tag: f'<svg role="img"{tag[1]}>\n{words}', svg, count=1
        )

    def _repr_svg_(self) -> str | None:
        """For notebooks: never raises, and gives nothing where no engine is."""
        try:
            return str(self.pipe("svg", encoding="utf-8"))
        except (DrawingEngineError, UnicodeError):
            return None

    @override
    def _repr_mimebundle_(self, *args: Any, **options: Any) -> dict[str, bytes | str]:
        svg = self._repr_svg_()
        return {"text/plain": self.source} if svg is None else {"image/svg+xml": svg}
