"""Memory of the approximate index at 2,048 dimensions: built from a file, saved, loaded and searched.

    python -m benchmarks.similarity_memory [PRODUCTS] [FOLDER]      # 200,000 products: some 15 minutes on 2 cores
Writes ``results/similarity_memory.md``. ``FOLDER`` (by default a temporary one) takes 9 KB a product.

Vectors are generated (``similarity_data.generated``: clusters in 24 directions and noise), float16 in a file that is
mapped, as is everything that the index does not have to hold. Each step is a process of its own, watched every 20 ms:

- private: memory that is the process' own (RssAnon), which nothing but its end gives back;
- mapped: pages of files (RssFile) that the system drops when it needs room.

"Largest" is the most at any time, "at the end" what stays. What the libraries take is subtracted (the start line).
Recall is measured against exact search, with 500 queries that are not in the index.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.similarity_data import generated
from modules.similarity.exact import brute_force
from modules.similarity.items import Items
from modules.similarity.protocol import Queries
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import Effort, ScannSettings

RESULTS = Path(__file__).parent / "results" / "similarity_memory.md"
PRODUCTS, CATALOGUE, DIMENSION, K, QUERIES = 200_000, 4_000_000, 2048, 100, 500
LIMIT = 12 << 30
BATCH = 200
LEAVES, REORDER = (20, 40, 80, 160), 400
STEPS = ("vectors", "build", "load", "search", "search_all")


class Watch:
    """The process' memory while it works, in bytes beyond what it had at the start."""

    def __init__(self) -> None:
        self._start = self.now()
        self._most = self._start
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @staticmethod
    def now() -> tuple[int, int]:
        """Private and mapped bytes."""
        text = Path("/proc/self/status").read_text()
        found = {name: int(size) << 10 for name, size in re.findall(r"(Rss\w+):\s+(\d+) kB", text)}
        return found["RssAnon"], found["RssFile"]

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self._most = tuple(map(max, self._most, self.now()))  # type: ignore[assignment]

    def end(self) -> dict[str, int]:
        """What was measured."""
        now = self.now()
        self._done.set()
        self._thread.join()
        most = tuple(map(max, self._most, now))
        values = (*(a - b for a, b in zip(most, self._start, strict=True)),
                  *(a - b for a, b in zip(now, self._start, strict=True)))  # fmt: skip
        return dict(zip(("private_most", "mapped_most", "private", "mapped"), values, strict=True))


def vectors(folder: Path, count: int) -> dict[str, Any]:
    """Writes vectors, queries and the queries' exact neighbours."""
    made = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (count, DIMENSION))
    # Queries are products that are left out of the index.
    parts, start = generated(count + QUERIES, DIMENSION, block=4096), -QUERIES
    for part in parts:
        if start < 0:
            np.save(folder / "queries.npy", part[:QUERIES])
            part, start = part[QUERIES:], 0
        made[start : start + len(part)] = part
        start += len(part)
    made.flush()
    found = brute_force(np.load(folder / "queries.npy"), [made], K)
    np.save(folder / "exact.npy", found.scores)
    return {}


def build(folder: Path, count: int) -> dict[str, Any]:
    """Builds and saves. The float32 vectors that ScaNN gets at once are an eighth of the whole, as they would be."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    items = Items.of(pa.array([f"product-{i}" for i in range(count)]), vectors)
    settings = ScannSettings(mapped=True, leaves=leaves(count), sample=50_000, build_memory=DIMENSION * 4 * 50_000)
    started = time.perf_counter()
    index = ScannIndex.build(items, settings)
    built = time.perf_counter() - started
    index.save(folder / "index")
    return {"seconds": built, "saved": time.perf_counter() - started - built}


def leaves(count: int) -> int:
    """As many products in a leaf as there would be in the whole catalogue."""
    return max(100, count // 1000)


def load(folder: Path, count: int) -> dict[str, Any]:
    """Loads."""
    started = time.perf_counter()
    index = ScannIndex.load(folder / "index")
    return {"seconds": time.perf_counter() - started, "products": len(index)}


def search(folder: Path, count: int) -> dict[str, Any]:
    """Loads and searches for the queries at several efforts."""
    index = ScannIndex.load(folder / "index")
    assert index.whole is not None
    queries, exact = np.load(folder / "queries.npy"), np.load(folder / "exact.npy")
    base = np.load(folder / "vectors.npy", mmap_mode="r")
    lines = []
    for number in LEAVES:
        index.whole.efforts = (Effort(k=K, leaves=min(number, index.whole.leaves), reorder=REORDER),)
        started, worked = time.perf_counter(), time.process_time()
        found = index.search(Queries(queries), K)
        seconds, cpu = time.perf_counter() - started, time.process_time() - worked
        scores = [np.asarray(base[np.sort(rows)], np.float32) @ one
                  for rows, one in zip(found.rows, queries, strict=True)]  # fmt: skip
        good = np.stack(scores) >= exact[:, K - 1 :] - 1e-6
        lines.append([number, float(good.mean()), len(queries) / seconds, 1000 * cpu / len(queries)])
    return {"efforts": lines}


def search_all(folder: Path, count: int) -> dict[str, Any]:
    """Loads and searches until nearly every int8 vector has been looked at: the most that can be mapped."""
    index = ScannIndex.load(folder / "index")
    seen = np.zeros(count, bool)
    rng = np.random.default_rng(0)
    while seen.mean() < 0.9:
        rows = np.sort(rng.choice(np.flatnonzero(~seen), BATCH, replace=True))
        asked = np.asarray(index.rows.base.vectors[rows], np.float32)
        seen[index.search(Queries(asked), 1000).rows] = True
    return {}


def table(done: dict[str, dict[str, Any]], count: int, folder: Path) -> list[str]:
    """The report."""
    lines = [
        "| step | seconds | private: largest | at the end | mapped: largest | at the end |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    names = {"build": "build and save", "load": "load", "search": "load, search", "search_all": "load, search for all"}
    for step, name in names.items():
        one = done[step]
        sizes = " | ".join(f"{one[key] / 1e6:,.0f} MB" for key in ("private_most", "private", "mapped_most", "mapped"))
        lines.append(f"| {name} | {one['wall']:.0f} | {sizes} |")
    files = {path.relative_to(folder / "index").as_posix(): path.stat().st_size
             for path in sorted((folder / "index").rglob("*")) if path.is_file()}  # fmt: skip
    float32 = 4 * count * DIMENSION
    lines += ["", f"float32 vectors take {float32 / 1e6:,.0f} MB. Files of the index:", ""]
    lines += ["| file | bytes a product |", "| --- | --- |"]
    lines += [f"| {name} | {size / count:,.1f} |" for name, size in files.items() if size > count]
    lines += ["", f"Recall@{K} with {REORDER} candidates, {leaves(count):,} leaves:", ""]
    lines += ["| leaves searched | recall | queries/s | CPU ms a query |", "| --- | --- | --- | --- |"]
    lines += [f"| {n} | {recall:.3f} | {rate:,.0f} | {cpu:.2f} |" for n, recall, rate, cpu in done["search"]["efforts"]]
    lines += ["", f"## {CATALOGUE:,} x {DIMENSION:,}", ""]
    lines += extrapolated(done, count)
    return lines


def extrapolated(done: dict[str, dict[str, Any]], count: int) -> list[str]:
    """The arithmetic, linear in the products but for what a batch of queries takes."""
    times = CATALOGUE / count
    codes, int8 = DIMENSION // 4, DIMENSION
    private, most = done["load"]["private"], done["load"]["private_most"] + done["load"]["mapped_most"]
    batch = done["search_all"]["private_most"] - private
    mapped = done["search_all"]["mapped_most"]
    served = times * (private + mapped) + batch
    partitions = served + CATALOGUE * codes
    return [
        f"float32: {4 * CATALOGUE * DIMENSION / 1e9:.1f} GB. Times {times:g}, linear in the products (leaves, too):",
        "",
        f"- by design: codes, 4 bits for two numbers, {codes:,} bytes, {CATALOGUE * codes / 1e9:.2f} GB, private; "
        f"int8, {int8:,} bytes a product, {CATALOGUE * int8 / 1e9:.2f} GB, mapped, one file for all trees;",
        f"- loaded, private: {private / count:,.0f} bytes a product, {times * private / 1e9:.2f} GB;",
        f"- while loading, private and mapped: {most / count:,.0f} bytes a product, {times * most / 2**30:.2f} GiB;",
        f"- every product looked at, mapped: {mapped / count:,.0f} bytes a product, {times * mapped / 1e9:.2f} GB;",
        f"- a batch of {BATCH} queries for 1,000 neighbours: {batch / 1e6:,.0f} MB, whatever the catalogue;",
        f"- **in all {served / 2**30:.2f} GiB** where nothing mapped was ever given back, "
        f"{(times * private + batch) / 2**30:.2f} GiB of it private; the limit is {LIMIT >> 30} GiB;",
        f"- with a tree per partition as well, which doubles the codes and nothing else: {partitions / 2**30:.2f} GiB.",
    ]


def main(count: int, folder: Path) -> None:
    """Runs the steps and writes the report."""
    done: dict[str, dict[str, Any]] = {}
    for step in STEPS:
        started = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.similarity_memory", "--step", step, str(count), str(folder)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        done[step] = json.loads(out.splitlines()[-1]) | {"wall": time.perf_counter() - started}
        print(step, done[step], flush=True)
    lines = [f"# Memory of the index: {count:,} x {DIMENSION:,}", ""]
    lines += [*(__doc__ or "").split("\n\n", 2)[2].strip().splitlines(), "", *table(done, count, folder)]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        watch = Watch()
        result = globals()[sys.argv[2]](Path(sys.argv[4]), int(sys.argv[3]))
        print(json.dumps(result | watch.end()))
    else:
        size = int(sys.argv[1]) if len(sys.argv) > 1 else PRODUCTS
        if len(sys.argv) > 2:
            main(size, Path(sys.argv[2]))
        else:
            with tempfile.TemporaryDirectory() as name:
                main(size, Path(name))
