"""Runs the benchmarks that need no data of the user's, no peers and no browser, one after the other: `make bench`."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "rules", "per_class_metrics", "prediction", "serving", "shop_api", "images", "active_sampler", "daily_index",
    "daily_predictions", "similarity_memory", "scale",
)  # fmt: skip
"""The quick ones first."""


def main() -> int:
    failed = 0
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
