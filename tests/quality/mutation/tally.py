"""
What mutmut has found, counted and compared with the list of the survivors that we know.

``nox -s mutation`` runs mutmut, then this. It fails when a mutant survives that is not in
``survivors.toml``, when a listed one no longer does, and when a mutant was not run. A mutant is
known by its function and by what it changes there, for its number moves with every line above it.

``python -m tests.quality.mutation.tally --list`` prints the survivors that are not listed yet, as
they would stand there: say why, or write the test that kills them. ``--again`` lets mutmut forget
who lives or took too long, so that its next run tries them with the tests that are new.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs


ROOT = Path(__file__).parents[3]
LIST = Path(__file__).with_name("survivors.toml")
MUTANTS = Path("mutants")

# What mutmut writes of a mutant; what is not named here is a fault of the run itself.
_ENDS: dict[int | None, str] = {
    1: "killed",
    3: "killed",  # pytest itself broke
    0: "survived",
    5: "survived",  # no test comes through the function
    33: "survived",  # the same
    24: "timeout",
    36: "timeout",
    152: "timeout",
    255: "timeout",
    -24: "timeout",
    None: "not run",
}


@attrs.frozen
class Survivor:
    """One change that no test notices: of which function, the lines before and after it."""

    file: str
    function: str
    was: str
    now: str


@attrs.define
class Tally:
    """What became of the mutants of one file."""

    ends: Counter[str] = attrs.field(factory=Counter)
    survivors: list[Survivor] = attrs.field(factory=list)

    @property
    def total(self) -> int:
        """All of them."""
        return self.ends.total()


def listed() -> list[tuple[Survivor, str]]:
    """The survivors that were judged, each with the reason why it may live."""
    text = tomllib.loads(LIST.read_text())
    return [
        (
            Survivor(one["file"], one["function"], one["was"], one["now"]),
            text["reasons"].get(one["why"], one["why"]),
        )
        for one in text.get("survivor", ())
    ]


def tallied() -> dict[str, Tally]:
    """What mutmut left in ``mutants/``, by file."""
    found: dict[str, Tally] = {}
    for meta in sorted(MUTANTS.rglob("*.meta")):
        ends: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
        if not ends:
            continue
        file = meta.relative_to(MUTANTS).with_suffix("").as_posix()
        tally = found[file] = Tally()
        for name, code in ends.items():
            end = _ENDS.get(code, "broken")
            tally.ends[end] += 1
            if end == "survived":
                tally.survivors.append(_survivor(file, name))
    return found


def forget() -> int:
    """Count who lives, or took too long, as not run yet; how many these were."""
    forgotten = 0
    for meta in MUTANTS.rglob("*.meta"):
        kept = json.loads(meta.read_text())
        ends: dict[str, int | None] = kept["exit_code_by_key"]
        for name, code in ends.items():
            if code is not None and _ENDS.get(code) != "killed":
                ends[name] = None
                forgotten += 1
        meta.write_text(json.dumps(kept, indent=4))
    return forgotten


def _survivor(file: str, name: str) -> Survivor:
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    lines = get_diff_for_mutant(name, path=file).splitlines()[2:]
    was = "\n".join(line[1:].strip() for line in lines if line.startswith("-"))
    now = "\n".join(line[1:].strip() for line in lines if line.startswith("+"))
    # x_name or xǁClassǁname, then the number.
    mangled = name.rpartition(".")[2].rpartition("__mutmut_")[0]
    function = mangled.removeprefix("x").removeprefix("_")
    if mangled.startswith("xǁ"):
        function = mangled.removeprefix("xǁ").replace("ǁ", ".")
    return Survivor(file, function, was, now)


def _as_toml(survivors: Iterator[Survivor]) -> str:
    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)

    return "\n".join(
        f"[[survivor]]\nfile = {text(one.file)}\nfunction = {text(one.function)}\n"
        f'was = {text(one.was)}\nnow = {text(one.now)}\nwhy = ""\n'
        for one in survivors
    )


def _table(found: dict[str, Tally]) -> Iterator[str]:
    heads = ("mutants", "killed", "timeout", "survived", "not run", "broken")
    yield f"{'file':<36}" + "".join(f"{head:>10}" for head in heads)
    whole = Tally()
    for file, tally in found.items():
        whole.ends.update(tally.ends)
        yield _line(file, tally, heads)
    yield _line("all", whole, heads)


def _line(name: str, tally: Tally, heads: tuple[str, ...]) -> str:
    figures = (tally.total, *(tally.ends[head] for head in heads[1:]))
    return f"{name:<36}" + "".join(f"{figure:>10}" for figure in figures)


def main(*arguments: str) -> int:
    """Print the count, and say what does not agree with the list: 1 if anything does not."""
    if "--again" in arguments:
        print(f"{forget()} mutants are tried again")
        return 0
    found = tallied()
    known = Counter(one for one, _ in listed())
    alive = Counter(one for tally in found.values() for one in tally.survivors)
    unknown, gone = alive - known, known - alive
    if "--list" in arguments:
        print(_as_toml(unknown.elements()))
        return 0
    print("\n".join(_table(found)))
    faults: list[Any] = []
    faults.extend(f"survives and is not listed: {one}" for one in unknown.elements())
    faults.extend(f"is listed and does not survive: {one}" for one in gone.elements())
    for end in ("not run", "broken"):
        count = sum(tally.ends[end] for tally in found.values())
        if count:
            faults.append(f"{count} mutants were {end}: run `mutmut run` again, it goes on")
    if not found:
        faults.append("no mutants were found: run `nox -s mutation`")
    print(*faults, sep="\n")
    print(f"{known.total()} survivors are listed with their reason, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
