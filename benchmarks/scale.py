"""How time and memory grow with the catalogue: the demo workflow at several sizes.

    python -m benchmarks.scale [2000 20000 200000] [--set KEY=VALUE ...]

Each size is generated and run whole in a process of its own, without pictures. Training runs for a fixed number of
epochs: early stopping ends after another number at each size, which would say nothing about the cost of a product.
Prints seconds and peak memory (of the process while the component ran) per component, and the marginal time per
product between neighbouring sizes. Bar: from the second to the third size at most 1.1 times that from the first to the
second. A run that is not counted fills the disk's caches first; each size but the largest is run twice and the
fastest time of each component taken, since a second more or less in steps that cost the same at any size would be a
tenth of a small catalogue's marginal time. Takes about twenty minutes on two cores.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from pipeline.workflow_file import REPOSITORY

EPOCHS = 5
REPEATS = 2
"""Runs of each size but the largest."""
SIZES = [2_000, 20_000, 200_000]
LINE = re.compile(r"^(\w+) +done +([0-9.]+) s$")
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def measure(products: int, overrides: list[str]) -> dict[str, tuple[float, float]]:
    """Component to its seconds and to the process's peak resident memory in MiB while it ran."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [
            f"runners.local.folder={folder}/runs", f"feed.demo.products={products}", "feed.demo.images=false",
            f"training.epochs={EPOCHS}", "training.patience=0", *overrides,
        ]  # fmt: skip
        command = [sys.executable, "-m", "shelfmark", "run", "--demo", "--feed", f"{folder}/catalogue"]
        command += [part for setting in settings for part in ("--set", setting)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, bufsize=1, env={**os.environ, "NO_COLOR": "1"}
        )
        assert process.stdout is not None
        found, lines = {}, []
        for line in process.stdout:
            lines.append(line)
            if match := LINE.match(line.strip()):
                found[match[1]] = float(match[2]), _peak(process.pid)
        if process.wait():
            raise SystemExit("".join(lines))
    return found


def _peak(pid: int) -> float:
    """The process's peak since the last call, in MiB; starts a new one."""
    peak = PEAK.search(Path(f"/proc/{pid}/status").read_text())
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(peak[1]) / 1024 if peak else float("nan")


def table(measured: dict[int, dict[str, tuple[float, float]]]) -> str:
    """Markdown: seconds and memory by component and size, then the marginal times."""
    sizes = list(measured)
    last = measured[sizes[-1]]
    lines = ["| component | " + " | ".join(f"{size:,}" for size in sizes) + " |", "| --- |" + " --- |" * len(sizes)]
    for name in [name for name, (seconds, _) in last.items() if seconds >= 0.5]:
        cells = [measured[size].get(name, (0.0, 0.0)) for size in sizes]
        lines.append(f"| {name} | " + " | ".join(f"{s:.1f} s, {m:,.0f} MiB" for s, m in cells) + " |")
    totals = {size: sum(seconds for seconds, _ in found.values()) for size, found in measured.items()}
    peaks = {size: max(memory for _, memory in found.values()) for size, found in measured.items()}
    lines.append("| all | " + " | ".join(f"{totals[size]:.1f} s, {peaks[size]:,.0f} MiB" for size in sizes) + " |")
    marginal: list[float] = []
    lines.append("")
    for low, high in pairwise(sizes):
        marginal.append((totals[high] - totals[low]) / (high - low) * 1e3)
        ratio = f", {marginal[-1] / marginal[-2]:.2f} times the one before" if len(marginal) > 1 else ""
        lines.append(f"Marginal time from {low:,} to {high:,}: {marginal[-1]:.3f} ms per product{ratio}.")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    sizes = [int(argument) for argument in arguments if argument.isdigit()] or SIZES
    overrides = [argument for argument in arguments if "=" in argument]
    measured: dict[int, dict[str, tuple[float, float]]] = {}
    measure(sizes[0], overrides)
    for size in sizes:
        runs = [measure(size, overrides) for _ in range(1 if size == sizes[-1] else REPEATS)]
        measured[size] = {
            name: (min(run[name][0] for run in runs), min(run[name][1] for run in runs)) for name in runs[0]
        }
        print(table(measured), flush=True)
    if sizes == SIZES and not overrides:
        target = REPOSITORY / "benchmarks" / "results" / "scale.md"
        target.parent.mkdir(exist_ok=True)
        target.write_text(table(measured))


if __name__ == "__main__":
    main(sys.argv[1:])
