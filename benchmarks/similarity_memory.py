"""Memory of the approximate index at 2,048 dimensions: built from a file, saved, loaded and searched.

    python -m benchmarks.similarity_memory [PRODUCTS] [FOLDER]      # 300,000 products: some 15 minutes on 2 cores
Writes ``results/similarity_memory.md``. ``FOLDER`` (by default a temporary one) takes 9 KB a product.

Vectors are generated (``similarity_data.generated``: clusters in 24 directions and noise), float16 in a file that is
mapped, as is everything that the index does not have to hold. Each step is a process of its own, watched every 20 ms:

- private: memory that is the process' own (RssAnon), which nothing but its end gives back;
- mapped: pages of files (RssFile) that the system drops when it needs room.

"Largest" is the most at any time, "at the end" what stays. What the process had before is subtracted.
Recall is measured against exact search, with 500 queries that are not in the index.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.memory import Watch
from benchmarks.similarity_data import generated
from modules.similarity.exact import brute_force
from modules.similarity.items import Items
from modules.similarity.protocol import Queries
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import Effort, ScannSettings

RESULTS = Path(__file__).parent / "results" / "similarity_memory.md"
PRODUCTS, CATALOGUE, DIMENSION, K, QUERIES = 300_000, 4_000_000, 2048, 100, 500
LIMIT = 12 << 30
BATCH = 200
EFFORTS = ((20, 400), (20, 1000), (20, 2000), (40, 2000))
"""Leaves that are searched, and candidates."""
SMALL = 4
"""So many times fewer products are taken as well: what does not grow with them is told from what does."""
ROWS = {"build": "build", "save": "save", "load": "load", "search": "search", "search_all": "search, everything seen"}


Done = dict[tuple[str, int], dict[str, Any]]
"""Step and number of products to what was measured."""


def sizes(watch: Watch) -> dict[str, int]:
    """What was measured, in bytes."""
    most, end = watch.end()
    return {
        "private_most": most.private, "mapped_most": most.mapped, "private": end.private, "mapped": end.mapped,
    }  # fmt: skip


def vectors(folder: Path, count: int) -> dict[str, Any]:
    """Writes vectors, queries and the queries' exact neighbours, if an earlier run did not."""
    if (folder / "exact.npy").exists() and whole(folder) == count:
        return {}
    made = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (count, DIMENSION))
    # Queries are products that are left out of the index.
    parts, start = generated(count + QUERIES, DIMENSION, block=4096), -QUERIES
    for block in parts:
        part = block
        if start < 0:
            np.save(folder / "queries.npy", block[:QUERIES])
            part, start = block[QUERIES:], 0
        made[start : start + len(part)] = part
        start += len(part)
    made.flush()
    found = brute_force(np.load(folder / "queries.npy"), [made], K)
    np.save(folder / "exact.npy", found.scores)
    return {}


def build(folder: Path, count: int) -> dict[str, Any]:
    """Builds and saves; ScaNN gets 50,000 float32 vectors at once (410 MB), the others are added block by block."""
    first = Watch()
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")[:count]
    items = Items.of(pa.array([f"product-{i}" for i in range(count)]), vectors)
    settings = ScannSettings(mapped=True, leaves=leaves(count), sample=50_000, build_memory=DIMENSION * 4 * 50_000)
    started = time.perf_counter()
    index = ScannIndex.build(items, settings)
    built = {"seconds": time.perf_counter() - started} | sizes(first)
    second, started = Watch(first.start), time.perf_counter()
    index.save(folder / f"index-{count}")
    return {"build": built, "save": {"seconds": time.perf_counter() - started} | sizes(second)}


def leaves(count: int) -> int:
    """As many products in a leaf as there would be in the whole catalogue."""
    return max(100, count // 1000)


def load(folder: Path, count: int) -> dict[str, Any]:
    """Loads."""
    watch, started = Watch(), time.perf_counter()
    index = ScannIndex.load(folder / f"index-{count}")
    assert len(index) == count
    return {"load": {"seconds": time.perf_counter() - started} | sizes(watch)}


def search(folder: Path, count: int) -> dict[str, Any]:
    """Loads and searches for the queries at several efforts."""
    watch, began = Watch(), time.perf_counter()
    index = ScannIndex.load(folder / f"index-{count}")
    assert index.whole is not None
    queries, exact = np.load(folder / "queries.npy"), np.load(folder / "exact.npy")
    done = []
    for number, reorder in EFFORTS:
        index.whole.efforts = (Effort(k=K, leaves=min(number, index.whole.leaves), reorder=reorder),)
        started, worked = time.perf_counter(), time.process_time()
        found = index.search(Queries(queries), K)
        seconds, cpu = time.perf_counter() - started, time.process_time() - worked
        done.append((number, reorder, found.rows, len(queries) / seconds, 1000 * cpu / len(queries)))
    measured = {"seconds": time.perf_counter() - began} | sizes(watch)
    base = np.load(folder / "vectors.npy", mmap_mode="r")
    lines = []
    for number, reorder, rows, rate, cpu in done:
        scores = [np.asarray(base[its], np.float32) @ one for its, one in zip(rows, queries, strict=True)]
        good = np.stack(scores) >= exact[:, K - 1 :] - 1e-6
        lines.append([number, reorder, float(good.mean()), rate, cpu])
    return {"search": measured | {"efforts": lines}}


def search_all(folder: Path, count: int) -> dict[str, Any]:
    """Loads and searches until nearly every int8 vector has been looked at: the most that can be mapped."""
    watch, began = Watch(), time.perf_counter()
    index = ScannIndex.load(folder / f"index-{count}")
    seen = np.zeros(count, bool)
    rng = np.random.default_rng(0)
    begin = (folder / "vectors.npy").stat().st_size - 2 * DIMENSION * whole(folder)
    while seen.mean() < 0.9:
        rows = np.sort(rng.choice(np.flatnonzero(~seen), BATCH, replace=True))
        # Read, not mapped: no search touches these pages.
        with (folder / "vectors.npy").open("rb") as file:
            asked = np.stack([read_row(file, begin, row) for row in rows.tolist()])
        seen[index.search(Queries(asked), 1000).rows] = True
    return {"search_all": {"seconds": time.perf_counter() - began} | sizes(watch)}


def whole(folder: Path) -> int:
    """Products in the file of vectors."""
    return len(np.load(folder / "vectors.npy", mmap_mode="r"))


def read_row(file: BinaryIO, begin: int, row: int) -> npt.NDArray[np.float32]:
    """A vector of the file."""
    file.seek(begin + 2 * DIMENSION * row)
    return np.frombuffer(file.read(2 * DIMENSION), np.float16).astype(np.float32)


def table(done: Done, count: int, folder: Path) -> list[str]:
    """The report."""
    lines = [
        "| step | products | seconds | private: largest | at the end | mapped: largest | at the end |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (step, products), one in done.items():
        sizes = " | ".join(f"{one[key] / 1e6:,.0f} MB" for key in ("private_most", "private", "mapped_most", "mapped"))
        lines.append(f"| {ROWS[step]} | {products:,} | {one['seconds']:.1f} | {sizes} |")
    index = folder / f"index-{count}"
    files = {path.relative_to(index).as_posix(): path.stat().st_size for path in index.rglob("*") if path.is_file()}
    lines += ["", f"float32 vectors take {4 * count * DIMENSION / 1e6:,.0f} MB. Files of the index:", ""]
    lines += ["| file | bytes a product |", "| --- | --- |"]
    lines += [f"| {name} | {size / count:,.1f} |" for name, size in sorted(files.items()) if size > count]
    lines += ["", f"Recall@{K}, {count:,} products in {leaves(count):,} leaves:", ""]
    lines += [
        "| leaves searched | candidates | recall | queries/s | CPU ms a query |",
        "| --- | --- | --- | --- | --- |",
    ]
    efforts = done["search", count]["efforts"]
    lines += [f"| {n} | {r:,} | {recall:.3f} | {rate:,.0f} | {cpu:.2f} |" for n, r, recall, rate, cpu in efforts]
    return [*lines, "", f"## {CATALOGUE:,} x {DIMENSION:,}", "", *extrapolated(done, count)]


def extrapolated(done: Done, count: int) -> list[str]:
    """The arithmetic."""
    small = count // SMALL

    def grows(step: str, key: str) -> tuple[float, float]:
        """Bytes a product, and bytes whatever the products."""
        slope = (done[step, count][key] - done[step, small][key]) / (count - small)
        return slope, done[step, count][key] - slope * count

    def line(step: str, what: str) -> str:
        text, total = [], 0.0
        for key in ("private_most", "mapped_most"):
            slope, rest = grows(step, key)
            size = slope * CATALOGUE + rest
            total += size
            text.append(f"{slope:,.0f} x {CATALOGUE / 1e6:g}e6 {'+' if rest >= 0 else '-'} {abs(rest) / 1e6:,.0f} MB = "
                        f"{size / 1e9:.2f} GB")  # fmt: skip
        return f"| {what} | {text[0]} | {text[1]} | {total / 2**30:.2f} GiB |"

    codes = CATALOGUE * (DIMENSION // 4)
    partitions = sum(slope * CATALOGUE + rest for slope, rest in
                     (grows("search_all", "private_most"), grows("search_all", "mapped_most"))) + codes  # fmt: skip
    return [
        f"float32: {4 * CATALOGUE * DIMENSION / 1e9:.1f} GB. By design a product takes {DIMENSION // 4:,} bytes of "
        f"codes (4 bits for two numbers; {codes / 1e9:.2f} GB, private) and {DIMENSION:,} bytes of int8 "
        f"({CATALOGUE * DIMENSION / 1e9:.2f} GB, mapped, one file for all trees). As measured, with a straight line "
        f"through both sizes (leaves grow with the products):",
        "",
        "| step | private, at most | mapped, at most | both |",
        "| --- | --- | --- | --- |",
        *(line(step, ROWS[step]) for step in ("build", "save", "load", "search_all")),
        "",
        "Building and saving map the source (float16) as well; they read it block by block, and it need not stay in "
        f"memory. Serving, with every int8 vector in memory, stays below {LIMIT >> 30} GiB, so nothing is read twice. "
        f"A tree per partition as well doubles the codes and nothing else: {partitions / 2**30:.2f} GiB.",
    ]


def main(count: int, folder: Path) -> None:
    """Runs the steps and writes the report."""
    small = count // SMALL
    plan = [("vectors", count), *((step, small) for step in ("build", "load", "search_all"))]
    plan += [(step, count) for step in ("build", "load", "search", "search_all")]
    done: Done = {}
    for step, products in plan:
        command = [sys.executable, "-m", "benchmarks.similarity_memory", "--step", step, str(products), str(folder)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        done |= {(name, products): found for name, found in json.loads(out.splitlines()[-1]).items()}
        print(step, products, out.splitlines()[-1], flush=True)
    lines = [f"# Memory of the index: {count:,} x {DIMENSION:,}", ""]
    lines += [*(__doc__ or "").split("\n\n", 2)[2].strip().splitlines(), "", *table(done, count, folder)]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        print(json.dumps(globals()[sys.argv[2]](Path(sys.argv[4]), int(sys.argv[3]))))
    else:
        size = int(sys.argv[1]) if len(sys.argv) > 1 else PRODUCTS
        if len(sys.argv) > 2:
            main(size, Path(sys.argv[2]))
        else:
            with tempfile.TemporaryDirectory() as name:
                main(size, Path(name))
