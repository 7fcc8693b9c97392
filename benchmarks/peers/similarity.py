"""A peer's index over the same vectors; runs in the environment of ``requirements_similarity.txt``, without Shelfmark.

``python similarity.py PEER FOLDER K THREADS TARGET...`` reads ``base.npy`` (n, d), ``queries.npy`` (q, d) and
``bound.npy`` (q,: the score of the k-th exact neighbour) in FOLDER and prints one JSON object: seconds to build, bytes
of the index in memory, and per target the cheapest setting that reaches this recall on the first half of the queries,
its recall on the second half, and queries per second over all of them. Inner product of unit vectors.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

REPEATS = 10
SAMPLE = 1000
"""Queries that settings are narrowed down with; the last step takes the whole half."""

Search = Callable[[np.ndarray, int], np.ndarray]
"""(queries, effort) to labels (q, k)."""


def hnswlib(base: np.ndarray, k: int, threads: int) -> tuple[object, Search, list[int]]:
    """M 16, efConstruction 200."""
    import hnswlib as peer

    index = peer.Index("ip", base.shape[1])
    index.init_index(len(base), M=16, ef_construction=200, random_seed=1)
    index.set_num_threads(threads)
    index.add_items(base)

    def search(queries: np.ndarray, effort: int) -> np.ndarray:
        index.set_ef(effort)
        return index.knn_query(queries, k, num_threads=threads)[0]

    return index, search, steps(k, 40 * k)


def nmslib(base: np.ndarray, k: int, threads: int) -> tuple[object, Search, list[int]]:
    """M 16, efConstruction 200, optimised index (post 2 would search once more while building)."""
    import nmslib as peer

    index = peer.init(method="hnsw", space="negdotprod")
    index.addDataPointBatch(base)
    index.createIndex({"M": 16, "efConstruction": 200, "indexThreadQty": threads, "post": 0})

    def search(queries: np.ndarray, effort: int) -> np.ndarray:
        index.setQueryTimeParams({"efSearch": effort})
        found = np.full((len(queries), k), -1, np.int64)
        for row, (labels, _) in enumerate(index.knnQueryBatch(queries, k=k, num_threads=threads)):
            found[row, : len(labels)] = labels
        return found

    return index, search, steps(k, 40 * k)


def faiss_hnsw(base: np.ndarray, k: int, threads: int) -> tuple[object, Search, list[int]]:
    """M 16, efConstruction 200."""
    import faiss as peer

    peer.omp_set_num_threads(threads)
    index = peer.IndexHNSWFlat(base.shape[1], 16, peer.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.add(base)

    def search(queries: np.ndarray, effort: int) -> np.ndarray:
        index.hnsw.efSearch = effort
        return index.search(queries, k)[1]

    return index, search, steps(k, 40 * k)


def faiss_ivf(base: np.ndarray, k: int, threads: int) -> tuple[object, Search, list[int]]:
    """IVFFlat, 4 times the square root of n lists."""
    import faiss as peer

    peer.omp_set_num_threads(threads)
    lists = round(4 * len(base) ** 0.5)
    index = peer.index_factory(base.shape[1], f"IVF{lists},Flat", peer.METRIC_INNER_PRODUCT)
    index.train(base)
    index.add(base)

    def search(queries: np.ndarray, effort: int) -> np.ndarray:
        index.nprobe = effort
        return index.search(queries, k)[1]

    return index, search, steps(1, lists)


def faiss_fast_scan(refine: str, factor: int) -> Callable[..., tuple[object, Search, list[int]]]:
    """4-bit codes of two numbers, scanned in registers, ``factor`` times k candidates scored again."""

    def build(base: np.ndarray, k: int, threads: int) -> tuple[object, Search, list[int]]:
        import faiss as peer

        peer.omp_set_num_threads(threads)
        lists, d = round(2 * len(base) ** 0.5), base.shape[1]
        name = f"IVF{lists},PQ{d // 2}x4fs,{refine}"
        index = peer.index_factory(d, name, peer.METRIC_INNER_PRODUCT)
        index.train(base)
        index.add(base)
        inner = peer.extract_index_ivf(peer.downcast_index(index.base_index))

        def search(queries: np.ndarray, effort: int) -> np.ndarray:
            inner.nprobe, index.k_factor = effort, search.factor
            return index.search(queries, k)[1]

        search.factor = factor
        return index, search, steps(1, lists)

    return build


def faiss_flat(base: np.ndarray, k: int, threads: int) -> tuple[object, Search, list[int]]:
    """Exact."""
    import faiss as peer

    peer.omp_set_num_threads(threads)
    index = peer.IndexFlatIP(base.shape[1])
    index.add(base)
    return index, lambda queries, effort: index.search(queries, k)[1], [1]


FACTORS = (2, 4, 8)
PEERS = {
    "hnswlib": hnswlib,
    "nmslib": nmslib,
    "faiss_hnsw": faiss_hnsw,
    "faiss_ivf": faiss_ivf,
    "faiss_fast_scan": faiss_fast_scan("RFlat", FACTORS[0]),
    "faiss_fast_scan_sq8": faiss_fast_scan("Refine(SQ8)", FACTORS[0]),
    "faiss_flat": faiss_flat,
}


def steps(low: int, high: int) -> list[int]:
    """Efforts some 8% apart."""
    found = {low, high}
    value = float(low)
    while value < high:
        found.add(round(value))
        value *= 1.08
    return sorted(found)


def recall(base: np.ndarray, queries: np.ndarray, bound: np.ndarray, found: np.ndarray) -> float:
    """Share of the found products whose score reaches the k-th exact one's."""
    good = 0
    for start in range(0, len(queries), 256):
        part = slice(start, start + 256)
        rows = found[part]
        scores = np.einsum("qd,qkd->qk", queries[part], base[np.maximum(rows, 0)])
        good += np.count_nonzero((rows >= 0) & (scores >= bound[part, None] - 1e-5))
    return good / found.size


def private() -> int:
    """Bytes of this process that are in memory and its own."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


def cheapest(search: Search, efforts: list[int], reached: Callable[[int, int], float], target: float) -> int | None:
    """The least effort that reaches the target, by halving: first on some queries, then, if need be, on more."""
    low, high = 0, len(efforts) - 1
    if not high:
        return efforts[0]
    if reached(efforts[high], SAMPLE) < target:
        return None
    while low < high:
        middle = (low + high) // 2
        if reached(efforts[middle], SAMPLE) >= target:
            high = middle
        else:
            low = middle + 1
    while reached(efforts[high], 0) < target:
        if high == len(efforts) - 1:
            return None
        high += 1
    return efforts[high]


def main(name: str, folder: Path, k: int, threads: int, targets: list[float]) -> None:
    """Builds, looks for the efforts, measures."""
    # What the library itself takes, and its threads, is not the index'.
    PEERS[name](np.random.default_rng(0).normal(size=(4000, 128)).astype(np.float32), k, threads)
    before = private()
    base = np.load(folder / "base.npy")
    started, worked = time.perf_counter(), time.process_time()
    index, search, efforts = PEERS[name](base, k, threads)
    built, built_cpu = time.perf_counter() - started, time.process_time() - worked
    del base
    memory = private() - before
    base = np.load(folder / "base.npy", mmap_mode="r")
    queries, bound = np.load(folder / "queries.npy"), np.load(folder / "bound.npy")
    half = len(queries) // 2

    def reached(effort: int, first: int) -> float:
        rows = slice(0, first or half)
        return recall(base, queries[rows], bound[rows], search(queries[rows], effort))

    points = []
    for target in targets if len(efforts) > 1 else targets[-1:]:
        best = None
        for factor in FACTORS if hasattr(search, "factor") else (1,):
            search.factor = factor
            effort = cheapest(search, efforts, reached, target)
            if effort is None:
                continue
            seconds, processor = [], []
            for _ in range(REPEATS if len(efforts) > 1 else 1):
                started, worked = time.perf_counter(), time.process_time()
                found = search(queries, effort)
                seconds.append(time.perf_counter() - started)
                processor.append(time.process_time() - worked)
            value = recall(base, queries[half:], bound[half:], found[half:])
            rate = len(queries) / min(seconds)
            cpu = min(processor) / len(queries)
            if best is None or cpu < best["cpu"]:
                best = {"target": target, "recall": value, "rate": rate, "cpu": cpu, "effort": [effort, factor]}
        points.append(best or {"target": target, "recall": None, "rate": None, "cpu": None, "effort": None})
    points = points if len(efforts) > 1 else points * len(targets)
    print(json.dumps({"build": built, "build_cpu": built_cpu, "memory": memory, "points": points}))
    del index


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), [float(one) for one in sys.argv[5:]])
