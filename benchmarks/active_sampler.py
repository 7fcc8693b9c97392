"""ActiveSampler's time and memory at 1,000,000 products over 1,063 classes.

``python -m benchmarks.active_sampler [PRODUCTS] [STRATEGY ...]`` writes predictions in the form that Predictor writes
(top 32, scores, 128-dimensional embeddings), then picks a batch of 100 in a process of its own per strategy. Memory is
the process's private memory (what cannot be dropped) and its resident set (which also counts pages of mapped files that
the system may drop), each less what Python has after its imports. Writes ``results/active_sampler.md``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.memory import Watch
from modules.taxonomy import Taxonomy

RESULTS = Path(__file__).parent / "results"
CLASSES, TOP, WIDTH, LABELLED, BATCH = 1063, 32, 128, 5000, 100
STRATEGIES = ("schedule", "margin", "k_center", "badge", "clustered_margin", "typiclust", "information_density")


def tree() -> Taxonomy:
    """1,063 categories below 40 others."""
    return Taxonomy.from_paths([(f"top {i % 40}", f"category {i}") for i in range(CLASSES)], exclusive="given")


def write(folder: Path, products: int) -> None:
    """Predictions of a train split, in row groups as Predictor writes them."""
    rng = np.random.default_rng(5)
    ids = [category.id for category in tree().exclusive]
    centres = rng.normal(size=(CLASSES, WIDTH)).astype(np.float32)
    (folder / "Split-train").mkdir(parents=True)
    writer = None
    for start in range(0, products, 20_000):
        n = min(20_000, products - start)
        own = rng.integers(0, CLASSES, n)
        x = centres[own] + 2.0 * rng.normal(size=(n, WIDTH)).astype(np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        z = 0.5 * x @ centres.T
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        top = np.argpartition(-p, TOP, axis=1)[:, :TOP]
        top = np.take_along_axis(top, np.argsort(-np.take_along_axis(p, top, 1), axis=1), 1).astype(np.int32)
        best = np.take_along_axis(p, top, 1)
        labels = np.full(n, -1, np.int32)
        labels[: LABELLED * n // products] = own[: LABELLED * n // products]
        table = pa.table(
            {
                "id": pa.array([f"product-{start + i}" for i in range(n)]),
                "exclusive/category_id": pa.array([ids[i] for i in top[:, 0]]).dictionary_encode(),
                "exclusive/label": pa.array(labels),
                "exclusive/classes": _fixed(top),
                "exclusive/probabilities": _fixed(best),
                "exclusive/entropy": pa.array(-(p * np.log(p)).sum(axis=1)),
                "exclusive/margin": pa.array(best[:, 0] - best[:, 1]),
                "exclusive/least_confidence": pa.array(1 - best[:, 0]),
                "embedding": _fixed(x),
            }
        )
        writer = writer or pq.ParquetWriter(folder / "Split-train" / "part-00000.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def _fixed(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def pick(folder: str, strategy: str) -> None:
    """The child: reads, picks, and prints seconds and MiB."""
    from modules.objectives.exclusive import ExclusiveObjective
    from modules.predictions.read import PredictionFiles
    from modules.sampling.asked import AskedQuestions
    from modules.sampling.batch import next_batch
    from modules.sampling.table import read_table
    from modules.settings.sampling import SamplingSettings

    taxonomy = tree()
    watch = Watch()
    started = time.perf_counter()
    table = read_table(PredictionFiles(folder), "exclusive")
    read = time.perf_counter() - started
    settings = SamplingSettings.model_validate({"size": BATCH, "strategy": {"kind": strategy}})
    classes = ExclusiveObjective().classes(taxonomy)
    batch = next_batch("exclusive", True, table, AskedQuestions(), classes, taxonomy, settings, 7)
    whole = time.perf_counter() - started
    most, _ = watch.end()
    assert len({one.product_id for one in batch.picks}) == BATCH
    private, resident = most.private / 2**20, most.resident / 2**20
    print(json.dumps({"read": read, "seconds": whole, "private": private, "resident": resident}))


def main(products: int, strategies: list[str]) -> None:
    """Writes the table."""
    lines = [
        f"A batch of {BATCH} from {products:,} products over {CLASSES:,} classes (top {TOP}, embeddings of {WIDTH}).",
        "",
        "| strategy | seconds | of them reading | private memory, MiB | resident, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), products)
        for name in strategies:
            command = [sys.executable, "-m", "benchmarks.active_sampler", "pick", folder, name]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            numbers = (
                f"{found['seconds']:.1f} | {found['read']:.1f} | {found['private']:,.0f} | {found['resident']:,.0f}"
            )
            lines.append(f"| {name} | {numbers} |")
            print(lines[-1], flush=True)
    (RESULTS / "active_sampler.md").write_text("# ActiveSampler at scale\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["pick"]:
        pick(*sys.argv[2:])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2:] or list(STRATEGIES))
