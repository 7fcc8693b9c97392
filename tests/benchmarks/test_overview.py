"""The list of benchmarks, what ``make bench`` runs, and the programs that there are."""

from __future__ import annotations

import re

from benchmarks import all as together
from tests.cli.test_command_line import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"


def test_each_benchmark_is_listed_and_make_bench_runs_those_that_need_nothing() -> None:
    rows = re.findall(r"^\| `python -m benchmarks\.(\w+)(.*?)` \| (.*) \|$", (FOLDER / "README.md").read_text(), re.M)
    programs = {path.stem for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert {name for name, _, _ in rows} == programs - {"all"} and len(rows) == len(programs) - 1
    # Capitals are something of the user's: a folder, an interpreter with peers.
    alone = {name for name, arguments, text in rows if not re.search("[A-Z]", arguments) and "Chromium" not in text}
    assert set(together.BENCHMARKS) == alone
