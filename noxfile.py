"""The gates one by one; ``.ci/run`` is all of them on a fresh clone."""

from __future__ import annotations

import nox


nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "arch", "tests"]

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install("-e", ".[dev,lint]")
    session.run("mypy", "--strict")


@nox.session
def arch(session: nox.Session) -> None:
    """Check that every import points down."""
    session.install("-e", ".[dev,lint]")
    session.run("lint-imports")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, doctests and the README."""
    session.install("-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def diagrams(session: nox.Session) -> None:
    """Draw the gallery anew."""
    session.install("-e", ".[draw]")
    session.run("python", "tests/gallery.py")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and import what is in it."""
    session.install("build")
    out = session.create_tmp()
    session.run("python", "-m", "build", "--wheel", "--outdir", out, ".")
    session.install("--no-index", "--find-links", out, "--no-deps", "saga-fsm")
