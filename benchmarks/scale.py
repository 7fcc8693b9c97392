"""How time and memory grow with the catalogue: the demo workflow at several sizes.

    python -m benchmarks.scale [2000 20000 200000]

Each size is generated and run whole in a process of its own (no images: they play no part yet). Prints seconds per
component, the run's peak memory, and the marginal seconds per product between neighbouring sizes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.workflow_file import REPOSITORY

LINE = re.compile(r"^(\w+) +done +([0-9.]+) s$")


def measure(products: int) -> tuple[dict[str, float], float]:
    """Seconds by component, and peak resident memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "shelfmark", "run", "--feed", f"{folder}/catalogue",
            "--set", f"runners.local.folder={folder}/runs", "--set", f"feed.demo.products={products}",
            "--set", "feed.demo.images=false",
        ]  # fmt: skip
        output = Path(folder) / "output"
        with output.open("w") as stream:
            process = subprocess.Popen(command, stdout=stream, env={**os.environ, "NO_COLOR": "1"})
            _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(output.read_text())
        found = {m[1]: float(m[2]) for line in output.read_text().splitlines() if (m := LINE.match(line.strip()))}
    return found, usage.ru_maxrss / 1024


def main(sizes: list[int]) -> None:
    measured = {}
    for size in sizes:
        measured[size] = measure(size)
        print(size, json.dumps(measured[size]), flush=True)
    names = [name for name, seconds in measured[sizes[-1]][0].items() if seconds >= 0.5]
    lines = ["| component | " + " | ".join(f"{size:,}" for size in sizes) + " |", "| --- |" + " --- |" * len(sizes)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(f"{measured[size][0].get(name, 0.0):.1f} s" for size in sizes) + " |")
    totals = {size: sum(seconds.values()) for size, (seconds, _) in measured.items()}
    lines.append("| all | " + " | ".join(f"{totals[size]:.1f} s" for size in sizes) + " |")
    lines.append("| peak memory | " + " | ".join(f"{measured[size][1]:,.0f} MiB" for size in sizes) + " |")
    for low, high in zip(sizes, sizes[1:], strict=False):
        marginal = (totals[high] - totals[low]) / (high - low) * 1e3
        lines.append(f"\nMarginal time from {low:,} to {high:,}: {marginal:.3f} ms per product.")
    text = "\n".join(lines) + "\n"
    print(text)
    (REPOSITORY / "benchmarks" / "results").mkdir(exist_ok=True)
    (REPOSITORY / "benchmarks" / "results" / "scale.md").write_text(text)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [2_000, 20_000, 200_000])
