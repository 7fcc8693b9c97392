"""Queries per second and latency of the HTTP endpoint, beside the bare search call on the same index.

    python -m benchmarks.serving --write      # some 2 minutes on 2 cores

200,000 generated products of 128 dimensions behind ``shelfmark similar serve`` as it is installed, in a process of its
own; k = 10, another product or vector in every query. Clients keep their connections, and each sends its next request
when it has the last one's answer. They run in one more process, which takes a good part of the two cores: with many
clients, queries per second say what both get through together, and the server's own CPU time per query says what a
machine with other clients' cores would reach. The bare call is ``index.search`` in a process that does nothing else,
one query at a time or 256 at once; it gives row numbers, the endpoint titles, categories, retailers and prices, too.
Answers of the endpoint are compared with those of the bare call; the process ends with an error where one differs.
Both look for 20: the endpoint leaves out the product that is asked about, and rounds up so that unlike requests can be
searched together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.similarity_data import generated
from modules.similarity.catalogue import Catalogue
from modules.similarity.items import Embedding, Items
from modules.similarity.protocol import Queries
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import ScannSettings
from modules.taxonomy import Taxonomy

RESULTS = Path(__file__).parent / "results" / "serving.md"
DIMENSION, K, DEPTH, CATEGORIES = 128, 10, 20, 40
WARM = 0.2
"""Of the measured time, before it."""
CLIENTS = (1, 4, 16, 64)


@dataclass(frozen=True)
class Load:
    """A line of the table: who asks what."""

    name: str
    clients: int
    queries: int = 1
    category: bool = False
    by_id: bool = True


@dataclass(frozen=True)
class Measured:
    """Queries per second, seconds per request, seconds of the server's processors per query, queries per search."""

    rate: float
    latencies: Any
    cpu: float
    batch: float


def loads() -> list[Load]:
    """What is measured."""
    found = [Load("by id", clients) for clients in CLIENTS]
    found += [Load("by vector", clients, by_id=False) for clients in (1, 16)]
    found += [Load("by id, in one of 40 categories", clients, category=True) for clients in (1, 16)]
    found += [Load(f"by {what}, 64 in a request", 4, 64, by_id=what == "id") for what in ("id", "vector")]
    return found


def build(folder: Path, count: int) -> np.ndarray:
    """Writes index and taxonomy; gives vectors to ask with, float32 (1,000, 128)."""
    tree = Taxonomy.from_paths([f"Department {i // 8} > Line {i}" for i in range(CATEGORIES)])
    nodes = [tree.find(f"Department {i // 8} > Line {i}") for i in range(CATEGORIES)]
    lines = [node.index for node in nodes]
    vectors = np.concatenate(list(generated(count + 1000, DIMENSION)))
    # In the partitions' order, as a run's index has them.
    share = -(-count // CATEGORIES)
    sizes = [max(0, min(share, count - i * share)) for i in range(CATEGORIES)]
    items = Items.of(
        [f"product-{i:07d}" for i in range(count)], vectors[:count],
        titles=[f"Generated product number {i} of a retailer, in a colour, in a size" for i in range(count)],
        category=[lines[i // share] for i in range(count)], retailer=[f"shop {i % 90}" for i in range(count)],
        price=[float(i % 500) for i in range(count)], availability=["in stock"] * count,
        embedding=Embedding("generated"),
    )  # fmt: skip
    tree.write(folder / "taxonomy.json")
    partitions = [(node.id, size) for node, size in zip(nodes, sizes, strict=True)]
    ScannIndex.build(items, ScannSettings(), partitions=partitions).save(folder / "joint")
    return vectors[count:]


def requests(load: Load, count: int, vectors: np.ndarray, rng: np.random.Generator) -> list[bytes]:
    """1,000 (or fewer, large ones) ready HTTP requests."""
    made = []
    for _ in range(max(20, 1000 // load.queries)):
        rows = rng.integers(len(vectors) if not load.by_id else count, size=load.queries)
        queries: list[dict[str, Any]] = (
            [{"id": f"product-{row:07d}"} for row in rows]
            if load.by_id
            else [{"vector": [round(float(x), 6) for x in vectors[row]]} for row in rows]
        )
        body: dict[str, Any] = {"query": queries[0]} if load.queries == 1 else {"queries": queries}
        if load.category:
            line = int(rng.integers(CATEGORIES))
            body["within"] = {"category": [f"Department {line // 8} > Line {line}"]}
        data = json.dumps({**body, "k": K}).encode()
        lines = ("POST /v1/similar HTTP/1.1", "host: 127.0.0.1", "content-type: application/json")
        made.append("\r\n".join((*lines, f"content-length: {len(data)}", "", "")).encode() + data)
    return made


async def client(port: int, ready: Sequence[bytes], start: int, until: float, found: list[tuple[float, float]]) -> None:
    """One connection; keeps (when it was answered, how long that took) of each request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = start
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(ready[number % len(ready)])
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        ended = time.perf_counter()
        found.append((ended, ended - began))
        number += 1
    writer.close()


def ask(port: int, load: Load, ready: Sequence[bytes], seconds: float, answers: Any) -> None:
    """All clients, in a process of their own."""

    async def run() -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        begin = time.perf_counter() + WARM * seconds
        until = begin + seconds
        await asyncio.gather(*(client(port, ready, 37 * i, until, found) for i in range(load.clients)))
        return [one for one in found if begin <= one[0] < until]

    answers.put(asyncio.run(run()))


def get(port: int, path: str) -> str:
    """What the server says at a path."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return str(answer.read().decode())


def cpu_of(process: int) -> float:
    """Seconds that a process has worked."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def batches(port: int) -> tuple[float, float]:
    """Queries and searches so far."""
    text = get(port, "/metrics")
    sums = [
        re.search(rf"^shelfmark_search_batch_queries_{name} (\S+)$", text, re.MULTILINE) for name in ("sum", "count")
    ]
    assert sums[0] is not None
    assert sums[1] is not None
    return float(sums[0][1]), float(sums[1][1])


def measure(port: int, process: int, load: Load, ready: Sequence[bytes], seconds: float) -> Measured:
    """A line."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    asking = context.Process(target=ask, args=(port, load, ready, seconds, answers))
    before, worked = batches(port), cpu_of(process)
    asking.start()
    found = answers.get(timeout=120)
    asking.join()
    after, worked = batches(port), cpu_of(process) - worked
    latencies = np.array([took for _, took in found])
    queries = after[0] - before[0]
    return Measured(load.queries * len(found) / seconds, latencies, worked / queries, queries / (after[1] - before[1]))


def bare(catalogue: Catalogue, vectors: np.ndarray, size: int, seconds: float) -> Measured:
    """The index' own call, ``size`` queries at a time."""
    index = catalogue.indexes["joint"]
    taken = []
    began = until = time.perf_counter() + WARM * seconds
    worked, number = 0.0, 0
    while until - began < seconds:
        some = np.take(vectors, np.arange(number, number + size) % len(vectors), axis=0)
        if until <= began:
            worked = time.process_time()
        started = time.perf_counter()
        index.search(Queries(some), DEPTH)
        until = time.perf_counter()
        number += size
        if started >= began:
            taken.append(until - started)
    queries = size * len(taken)
    return Measured(queries / sum(taken), np.array(taken), (time.process_time() - worked) / queries, float(size))


@contextmanager
def server(folder: Path) -> Iterator[tuple[int, int]]:
    """``shelfmark similar serve``: its port and process."""
    command = [sys.executable, "-m", "shelfmark", "similar", "serve", "--index", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def check(port: int, catalogue: Catalogue, vectors: np.ndarray) -> None:
    """Whether the endpoint answers what the bare call finds."""
    queries = [{"vector": [float(x) for x in vector]} for vector in vectors[:50]]
    data = json.dumps({"queries": queries, "k": K}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/similar", data, {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        found = [[one["id"] for one in result["neighbours"]] for result in json.loads(answer.read())["results"]]
    index = catalogue.indexes["joint"]
    wanted = index.search(Queries(vectors[:50]), DEPTH).ids(index.ids).to_pylist()
    if found != [wanted[i * DEPTH : i * DEPTH + K] for i in range(50)]:
        raise SystemExit("the endpoint's answers differ from the bare call's")


def row(name: str, clients: str, found: Measured) -> str:
    """A line of Markdown."""
    p50, p99 = np.percentile(found.latencies, [50, 99]) * 1000
    cells = (name, clients, f"{found.rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{found.cpu * 1000:.2f}")
    return f"| {' | '.join(cells)} | {found.batch:,.1f} |"


def main() -> None:
    """Runs everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--products", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=8.0, help="Of each line of the table.")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    lines = [
        "# The endpoint beside the bare search call", "", *(__doc__ or "").split("\n\n", 2)[2].strip().splitlines(), "",
        f"{arguments.products:,} products.", "",
        "| queries | clients | queries/s | p50 ms | p99 ms | CPU ms per query | queries per search |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        vectors = build(Path(name), arguments.products)
        catalogue = Catalogue.open(name)
        for size in (1, 256):
            lines.append(row(f"bare call, {size} at once", "–", bare(catalogue, vectors, size, arguments.seconds)))
            print(lines[-1], flush=True)
        rng = np.random.default_rng(0)
        with server(Path(name)) as (port, process):
            check(port, catalogue, vectors)
            # What is touched for the first time is read from the disk, whoever asks.
            warm = Load("by id, to warm up", 16)
            measure(port, process, warm, requests(warm, arguments.products, vectors, rng), arguments.seconds)
            for load in loads():
                ready = requests(load, arguments.products, vectors, rng)
                lines.append(row(load.name, str(load.clients), measure(port, process, load, ready, arguments.seconds)))
                print(lines[-1], flush=True)
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
