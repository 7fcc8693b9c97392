"""Seconds of `shelfmark predict` on a day's feed of which 1% has changed, beside the first pass over all of it.

    python -m benchmarks.daily_predictions --products 100000 --write      # some ten minutes

A run of the demo with few products trains and blesses the model (the demo's features and kind, one epoch: speed does
not depend on its weights). Then the command itself is timed, from its start to its end: on a feed that it does not
know, on the same one with other titles for 1% of the products, and on that one once more.
Bar: a day with 1% of changes in a tenth of the first pass. Results are kept in benchmarks/results/daily_predictions.md
(--write).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modules.demo.products import COLUMNS, generate

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "daily_predictions.md"
SETTINGS = (
    "feed.demo.products=1000", "training.epochs=1", "sampling=null", "similarity=null",
    "evaluation.thresholds={exclusive: {accuracy: 0.0}}",
)  # fmt: skip
CHANGED = 100
"""Every so many-th product changes."""


def shelfmark(folder: Path, *arguments: str) -> tuple[float, str]:
    """Seconds that a command takes, and what it says."""
    given = [part for setting in SETTINGS for part in ("--set", setting)]
    command = [sys.executable, "-m", "shelfmark", *arguments, "--demo", *given]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    done = subprocess.run(command, check=False, cwd=folder, env=environment, text=True, capture_output=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return seconds, done.stdout


def write_feed(path: Path, products: int, *, is_second_day: bool) -> None:
    """Demo products as JSON Lines."""
    with path.open("w", encoding="utf-8") as stream:
        for number, product in enumerate(generate(7, 0, products)):
            record = dict(zip(COLUMNS, product.record, strict=True))
            if is_second_day and number % CHANGED == 0:
                record["title"] += " new"
            stream.write(json.dumps(record) + "\n")


def measure(products: int, folder: Path) -> list[tuple[str, float, str]]:
    """What was done, its seconds, and the command's first line."""
    shelfmark(folder, "run")
    feed = folder / "today.jsonl"
    rows = []
    for name, is_second_day in (("first pass", False), ("1% changed", True), ("nothing changed", True)):
        write_feed(feed, products, is_second_day=is_second_day)
        seconds, said = shelfmark(folder, "predict", str(feed))
        rows.append((name, seconds, said.splitlines()[0]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options.products, Path(folder))
    first = rows[0][1]
    lines = [
        "# Daily predictions",
        "",
        f"{options.products:,} demo products, Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores. `python -m benchmarks.daily_predictions --products {options.products}`.",
        "",
        "| feed | seconds | of the first pass | said |",
        "| --- | --- | --- | --- |",
        *(f"| {name} | {seconds:,.1f} | {seconds / first:.2f} | {said} |" for name, seconds, said in rows),
    ]
    print("\n".join(lines))
    if options.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
