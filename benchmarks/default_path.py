"""What `shelfmark init` gives without an edit, beside TF-IDF with LinearSVC on the same products.

    python -m benchmarks.default_path ikea=FEED flipkart=FEED [--splits 5] [--labels all,20%,500,100]

Each feed (a file or a folder) is looked at by ``init``, whose workflow is taken as it is. Its products of a category
that the taxonomy has as a class are split by the workflow's own split, which keeps variants together, with the seeds 1
to ``--splits``. From the train and eval products labels are drawn at random; the workflow's model and the peer learn
from the same ones, and all test products are scored with scikit-learn over all classes.

The model is trained as Trainer does (Transform's graph, choice of the kind, C by cross-validation, exact heads), but
in memory, without the rest of a run. The peer is what a user would try first: the same columns as one text, words
(1-2) and characters (2-5), LinearSVC with C = 1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.svm import LinearSVC

from experiments.arms import simulated
from experiments.catalogue import LabelledCatalogue
from experiments.learners import memory_learner
from modules.features.default import TEXTS
from modules.feeds.splitting import Splitter
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from pipeline.init import detect, write_workflow
from pipeline.inputs import in_memory, taxonomy_of
from pipeline.products import read_products, true_labels
from pipeline.workflow_file import LoadedWorkflow, load_workflow


@dataclass(frozen=True)
class Score:
    """Accuracy and macro-F1 over all classes, in percent."""

    accuracy: float
    macro_f1: float


def default_workflow(feeds: list[Path], folder: Path, name: str) -> LoadedWorkflow:
    """What ``init`` writes for the feeds."""
    return load_workflow(write_workflow(detect(feeds), folder, name)[0])


def catalogue_of(loaded: LoadedWorkflow, taxonomy: Taxonomy) -> LabelledCatalogue:
    """The products that have an exclusive category, each once."""
    classes = {category.id: number for number, category in enumerate(taxonomy.exclusive)}
    labels = {name: classes[label.category_id or ""] for name, label in true_labels(loaded, taxonomy).items()}
    products = {product.id: product for product in read_products(loaded) if product.id in labels}
    truth = [labels[name] for name in products]
    return LabelledCatalogue(list(products.values()), taxonomy, np.array(truth, np.int64))


def splits_of(catalogue: LabelledCatalogue, workflow: Workflow, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, and rows to measure on."""
    splitter = Splitter.among(workflow.feed.split.model_copy(update={"seed": seed, "column": None}), catalogue.products)
    tested = np.array([splitter.split(product.text, product.id, None) == "test" for product in catalogue.products])
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def score(truth: np.ndarray, predicted: np.ndarray, classes: int) -> Score:
    """Over all classes, those without a test product among them (as 0)."""
    macro = f1_score(truth, predicted, labels=np.arange(classes), average="macro", zero_division=0)
    return Score(100 * float(accuracy_score(truth, predicted)), 100 * float(macro))


def drawn(pool: np.ndarray, wanted: str, seed: int) -> np.ndarray | None:
    """The rows with a label: all, a share (``20%``) or a number of them, at random; None: the pool has no more."""
    if wanted == "all":
        return pool
    count = round(len(pool) * float(wanted[:-1]) / 100) if wanted.endswith("%") else int(wanted)
    return np.random.default_rng(seed).permutation(pool)[:count] if count < len(pool) else None


def measured(
    loaded: LoadedWorkflow, catalogue: LabelledCatalogue, seed: int, labels: list[str]
) -> Iterator[tuple[str, int, Score, Score]]:
    """Per number of labels: how it was asked for, how many they are, the score of the workflow, that of the peer."""
    workflow = simulated(in_memory(loaded))
    pool, tested = splits_of(catalogue, workflow, seed)
    learner = memory_learner(workflow, catalogue, pool)
    texts = [" ".join(product.text.get(field, "") for field in TEXTS) for product in catalogue.products]
    parts = (TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
             TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5)))  # fmt: skip
    peer = sparse.hstack([part.fit([texts[row] for row in pool]).transform(texts) for part in parts], format="csr")
    truth = catalogue.truth
    for wanted in labels:
        rows = drawn(pool, wanted, seed)
        if rows is None:
            continue
        learner.fit(rows, truth[rows], workflow.seed)
        ours = score(truth[tested], learner.logits(tested).argmax(axis=1), catalogue.classes)
        svc = LinearSVC(random_state=0).fit(peer[rows], truth[rows])
        yield wanted, len(rows), ours, score(truth[tested], svc.predict(peer[tested]), catalogue.classes)


def interval(values: list[float]) -> str:
    """The mean, and the half width of its 95% interval over the splits (Student's t)."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.1f}"
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{mean:.1f} ± {half:.1f}"


def main() -> None:
    """Prints a row per split, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("feeds", nargs="+", metavar="NAME=FEED[,FEED...]")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--first", type=int, default=1, help="the first split's seed")
    parser.add_argument("--labels", default="all,20%,500,100")
    options = parser.parse_args()
    lines = []
    for given in options.feeds:
        name, _, paths = given.partition("=")
        with tempfile.TemporaryDirectory() as folder:
            loaded = default_workflow([Path(path) for path in paths.split(",")], Path(folder), name)
            catalogue = catalogue_of(loaded, taxonomy_of(loaded))
            by_size: dict[str, list[tuple[int, Score, Score]]] = {}
            for seed in range(options.first, options.first + options.splits):
                started = time.monotonic()
                for wanted, count, ours, peer in measured(loaded, catalogue, seed, options.labels.split(",")):
                    by_size.setdefault(wanted, []).append((count, ours, peer))
                    print(name, seed, wanted, count, ours, peer, f"{time.monotonic() - started:.0f} s", flush=True)
        for wanted, rows in by_size.items():
            cells = [name, f"{wanted} ({rows[0][0]:,})"]
            for figure in ("accuracy", "macro_f1"):
                own, others = ([getattr(row[side], figure) for row in rows] for side in (1, 2))
                differences = [a - b for a, b in zip(own, others, strict=True)]
                cells += [interval(own), interval(others), interval(differences)]
            lines.append(f"| {' | '.join(cells)} |")
    print("| catalogue | labels | accuracy | LinearSVC | difference | macro-F1 | LinearSVC | difference |")
    print(f"|{' --- |' * 8}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
