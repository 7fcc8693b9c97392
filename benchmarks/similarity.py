"""ScannIndex beside hnswlib, nmslib, faiss and exact search, and its table of neighbours.

``python -m benchmarks.similarity PEERS_PYTHON CATALOGUES SCRATCH [SET ...]``: PEERS_PYTHON is a Python with
``benchmarks/peers/requirements_similarity.txt`` installed; CATALOGUES holds folders of JSON Lines with titles;
vectors and finished measurements are kept in SCRATCH, so that a stopped run goes on where it was. Writes
``results/similarity.md``.

Sets: ``pictures`` and ``fashion`` (pictures and titles of fashion_product_images_small), ``titles`` (of all
catalogues): patches of pictures, or TF-IDF of words (1-2), and SVD to 128 dimensions; ``generated``: 1,000,000 x 128
(``similarity_data.generated``); ``neighbours``: the table of neighbours of 100,000, 300,000 and 1,000,000 generated
products, without partitions. All indexes get the same vectors, rounded to half precision, in which the pipeline keeps
embeddings.

5,000 queries (1,000 of the pictures) that are in no index, 100 neighbours, two threads, a process per index. Half of
the queries choose each index' cheapest setting that reaches the wanted recall, the other half give the recall; queries
per second are those of one call with all of them, best of ten; CPU time, of both threads, depends less on what else the
machine does. Peers return row numbers; ours is the project's own search call with the products' ids. Its leaves hold
what the size decides, vectors or codes; where that is vectors, codes are measured too. Memory is what a process'
private memory grows by; the vectors in half precision that ours maps for exact search are not in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.similarity_data import QUERIES, generated, picture_vectors, title_vectors, titles

if TYPE_CHECKING:
    from modules.similarity.scann_index.settings import ScannSettings

RESULTS = Path(__file__).parent / "results"
K, THREADS, TARGETS = 100, 2, (0.95, 0.99)
OURS = {"ours": "Shelfmark ScannIndex", "ours_codes": "Shelfmark ScannIndex, scoring: codes"}
"""As it comes, and with codes where it does not take them of its own accord."""
EXACT = "Shelfmark exact"
PEERS = {
    "hnswlib": "hnswlib (M 16, efConstruction 200)",
    "nmslib": "nmslib HNSW (M 16, efConstruction 200)",
    "faiss_hnsw": "faiss HNSW (M 16, efConstruction 200)",
    "faiss_ivf": "faiss IVF, flat",
    "faiss_fast_scan": "faiss IVF, 4-bit fast scan, refined with float32",
    "faiss_fast_scan_sq8": "faiss IVF, 4-bit fast scan, refined with int8",
    "faiss_flat": "faiss flat (exact)",
}
SETS = {
    "pictures": "fashion_product_images_small, pictures",
    "fashion": "fashion_product_images_small, titles",
    "titles": "titles of all catalogues",
    "generated": "generated",
}
TABLE = (100_000, 300_000, 1_000_000)


def prepare(name: str, catalogues: Path, folder: Path) -> None:
    """``base.npy``, ``queries.npy`` and ``bound.npy``: the score of each query's last exact neighbour."""
    from modules.similarity.scann_index.compared import compare

    if (folder / "bound.npy").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    count = QUERIES
    if name == "pictures":
        vectors, count = picture_vectors(catalogues / "fashion_product_images_small" / "images"), 1000
    elif name == "generated":
        vectors = np.concatenate(list(generated(1_000_000 + QUERIES)))
    else:
        pattern = "fashion_product_images_small/*.jsonl*" if name == "fashion" else "*/*.jsonl*"
        vectors, _ = title_vectors(titles(sorted(catalogues.glob(pattern))))
    # As the pipeline keeps embeddings: the same numbers for all.
    vectors = vectors.astype(np.float16).astype(np.float32)
    base, queries = vectors[count:], np.ascontiguousarray(vectors[:count])
    np.save(folder / "base.npy", base)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "bound.npy", compare(queries, [base], K).scores[:, -1])


def items_of(base: np.ndarray) -> Any:
    """Products with ids like a shop's."""
    import pyarrow as pa

    from modules.similarity.items import Items

    return Items.of(pa.array([f"D{i:07d}" for i in range(len(base))]), base)


def build_ours(folder: Path, name: str) -> dict[str, Any]:
    """Builds and saves; a process of its own."""
    from modules.similarity.scann_index.index import ScannIndex
    from modules.similarity.scann_index.settings import ScannSettings

    items = items_of(np.load(folder / "base.npy", mmap_mode="r").astype(np.float16))
    started, worked = time.perf_counter(), time.process_time()
    # Of as few as there are pictures it builds no tree of its own accord.
    settings = settings_of(name, min(len(items), ScannSettings().min_products))
    index = ScannIndex.build(items, settings, 1)
    found = {"build": time.perf_counter() - started, "build_cpu": time.process_time() - worked}
    shutil.rmtree(folder / f"index_{name}", ignore_errors=True)
    index.save(folder / f"index_{name}")
    return found


def settings_of(name: str, least: int) -> ScannSettings:
    """What one of :data:`OURS` is built with; ``least``: products, from which on there is a tree."""
    from modules.similarity.scann_index.settings import ScannSettings

    return ScannSettings(min_products=least, scoring="codes" if name == "ours_codes" else None)


def search_ours(folder: Path, name: str, exact: bool = False) -> dict[str, Any]:
    """Loads, looks for the efforts, and searches with ids; a process of its own."""
    from benchmarks.peers.similarity import REPEATS, private, recall
    from modules.similarity.protocol import Queries
    from modules.similarity.scann_index.index import ScannIndex
    from modules.similarity.scann_index.tuning import Truth, tune

    base, bound = np.load(folder / "base.npy", mmap_mode="r"), np.load(folder / "bound.npy")
    queries = np.load(folder / "queries.npy")
    half = len(queries) // 2
    # What the library itself takes, and its threads, is not the index'.
    small = ScannIndex.build(items_of(np.asarray(base[:4000])), settings_of(name, 1000))
    small.search(Queries(queries[:100]), K)
    del small
    before = private()
    index = ScannIndex.load(folder / f"index_{name}")
    assert index.whole is not None
    index.search(Queries(queries[:1]), K)
    memory = private() - before
    truth = None if exact else Truth.of(queries[:half], np.asarray(base), K)
    points = []
    for target in TARGETS[-1:] if exact else TARGETS:
        started = time.perf_counter()
        if truth is not None:
            index.whole.efforts = tune(index.whole, truth, K, target)
        tuned = time.perf_counter() - started
        seconds, processor = [], []
        for _ in range(1 if exact else REPEATS):
            started, worked = time.perf_counter(), time.process_time()
            found = index.exact(queries, K) if exact else index.search(Queries(queries), K)
            found.ids(index.ids)
            seconds.append(time.perf_counter() - started)
            processor.append(time.process_time() - worked)
        value = recall(base, queries[half:], bound[half:], found.rows[half:])
        effort = None if exact else [index.whole.efforts[0].leaves, index.whole.efforts[0].reorder]
        rate = len(queries) / min(seconds)
        cpu = min(processor) / len(queries)
        points.append({"target": target, "recall": value, "rate": rate, "cpu": cpu, "effort": effort, "tuned": tuned})
    return {"memory": memory, "points": points * len(TARGETS) if exact else points}


def neighbours(folder: Path, count: int) -> dict[str, Any]:
    """The table of ``count`` generated products, and the memory that writing it took; a process of its own."""
    import tempfile

    from benchmarks.memory import Watch
    from benchmarks.peers.similarity import private
    from modules.similarity.neighbours import write_neighbours
    from modules.similarity.scann_index.index import ScannIndex
    from modules.similarity.scann_index.quality import tune_and_measure
    from modules.similarity.scann_index.settings import ScannSettings

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        vectors = np.lib.format.open_memmap(f"{scratch}/v.npy", "w+", np.float16, (count, 128))
        start = 0
        for block in generated(count):
            vectors[start : start + len(block)] = block
            start += len(block)
        index = ScannIndex.build(items_of(vectors), ScannSettings(), 1)
        quality = tune_and_measure(index, k=K, recall=0.95, queries=1000, seed=1)[0]
        index.save(f"{scratch}/index")
        del index
        index = ScannIndex.load(f"{scratch}/index")
        before, watch = private(), Watch()
        started = time.perf_counter()
        write_neighbours(index, Path(scratch) / "n.parquet", K, 0.98)
        seconds = time.perf_counter() - started
        grown = watch.end()[0].private
        size = (Path(scratch) / "n.parquet").stat().st_size
    return {"seconds": seconds, "index": before, "grown": grown, "bytes": size, "recall": quality.recall}


def step(scratch: Path, name: str, command: Sequence[str]) -> dict[str, Any]:
    """What a process printed last, or printed when it ran before."""
    kept = scratch / f"{name}.json"
    if not kept.exists():
        environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
        print(name, done.stdout.splitlines()[-1], flush=True)
        kept.write_text(done.stdout.splitlines()[-1])
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def measure(name: str, peers: str, catalogues: Path, scratch: Path) -> None:
    """All indexes over one set, those of which no result is there yet."""
    folder = scratch / name
    prepare(name, catalogues, folder)
    own = [sys.executable, "-m", "benchmarks.similarity", "--step"]
    shape = np.load(folder / "base.npy", mmap_mode="r").shape
    for ours in OURS:
        if ours == "ours_codes" and settings_of("ours", 1).for_size(*shape).scoring == "codes":
            continue
        step(folder, f"{ours}_built", [*own, "build", str(folder), ours])
        step(folder, ours, [*own, "search", str(folder), ours])
    step(folder, "exact", [*own, "exact", str(folder), "ours"])
    script = str(Path(__file__).parent / "peers" / "similarity.py")
    for peer in PEERS:
        step(folder, peer, [peers, script, peer, str(folder), str(K), str(THREADS), *map(str, TARGETS)])


def figures(point: dict[str, Any]) -> list[str]:
    """Queries per second, CPU time of one, recall."""
    return [f"{point['rate']:,.0f}", f"{1e6 * point['cpu']:.0f}", f"{point['recall']:.3f}"]


def table(folder: Path, title: str) -> list[str]:
    """A set's lines, fastest at the higher recall first."""
    n, d = np.load(folder / "base.npy", mmap_mode="r").shape
    full = 4 * n * d
    rows = []
    for name, shown in {**OURS, "exact": EXACT, **PEERS}.items():
        if not (folder / f"{name}.json").exists():
            continue
        one = json.loads((folder / f"{name}.json").read_text())
        built = json.loads((folder / f"{name}_built.json").read_text()) if name in OURS else one
        cells = []
        for point in one["points"]:
            cells += figures(point) if point["rate"] is not None else ["not reached", "", ""]
        seconds = f"{built['build']:.1f} | {built['build_cpu']:.1f}" if name != "exact" else " | "
        memory = f"{one['memory'] / full:.2f}" if name != "exact" else ""
        rows.append((one["points"][-1]["cpu"] or np.inf, f"| {shown} | {' | '.join(cells)} | {seconds} | {memory} |"))
    heads = " | ".join(f"queries/s at {target} | CPU µs | recall@{K}" for target in TARGETS)
    lines = ["", f"## {title}: {n:,} x {d}", "", f"| index | {heads} | built in s | CPU s | memory / float32 |"]
    return [*lines, "|" + " --- |" * (3 * len(TARGETS) + 4), *(line for _, line in sorted(rows))]


def main(peers: str, catalogues: Path, scratch: Path, names: Sequence[str]) -> None:
    """Measures what is missing, and writes the table of what is there."""
    own = [sys.executable, "-m", "benchmarks.similarity", "--step", "neighbours", str(scratch)]
    for name in names:
        if name == "neighbours":
            for count in TABLE:
                step(scratch, f"neighbours_{count}", [*own, str(count)])
        else:
            measure(name, peers, catalogues, scratch)
    lines = [
        "# Similar products: indexes beside each other",
        "",
        *(__doc__ or "").split("\n\n", 2)[2].strip().splitlines(),
    ]
    for name, title in SETS.items():
        if (scratch / name / "ours.json").exists():
            lines += table(scratch / name, title)
    made = [(n, scratch / f"neighbours_{n}.json") for n in TABLE if (scratch / f"neighbours_{n}.json").exists()]
    if made:
        lines += ["", f"## Table of neighbours, {K} per product, no partitions", ""]
        lines += ["| products | products/s | recall | index in MB | grown by MB while written | file in MB |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        for n, file in made:
            one = json.loads(file.read_text())
            sizes = " | ".join(f"{one[key] / 1e6:,.0f}" for key in ("index", "grown", "bytes"))
            lines.append(f"| {n:,} | {n / one['seconds']:,.0f} | {one['recall']:.3f} | {sizes} |")
    (RESULTS / "similarity.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--step":
        kind, where = sys.argv[2], Path(sys.argv[3])
        if kind == "neighbours":
            print(json.dumps(neighbours(where, int(sys.argv[4]))))
        else:
            name = sys.argv[4]
            print(json.dumps(build_ours(where, name) if kind == "build" else search_ours(where, name, kind == "exact")))
    else:
        main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:] or [*SETS, "neighbours"])
