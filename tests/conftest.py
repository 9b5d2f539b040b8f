"""Profiles of Hypothesis, and what pytest must not import."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings


_TYPING = Path(__file__).parent / "typing"

# Read by the type checkers and never executed: the wrong ones would raise, as they should.
collect_ignore = [str(path) for path in _TYPING.glob("*.py") if not path.name.startswith("test_")]

# No deadline: a slow machine is no failed law.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
