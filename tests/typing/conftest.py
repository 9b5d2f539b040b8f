"""The definitions here are read by a type checker, never executed."""

collect_ignore = ["right.py", "wrong.py"]
