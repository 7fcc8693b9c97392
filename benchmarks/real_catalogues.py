"""Accuracy on real catalogues: the shipped workflows beside TF-IDF with LinearSVC on the same rows.

    python -m benchmarks.real_catalogues mwpd_gpc=FOLDER flipkart_20k=FOLDER [fashion_product_images_small=FOLDER]
    python -m benchmarks.real_catalogues --splits 5 flipkart_20k=FOLDER

Runs each workflow whole, then scores its predictions of the test split with scikit-learn, all categories counted. The
peer is what a user would try first: TF-IDF of words (1-2) and characters (2-5) of the same columns into LinearSVC,
fitted on the same train and eval products, scored on the same test products. Costs some 5 minutes per catalogue and
split on two cores.

With ``--splits N`` a catalogue without a split of its own is split by hash under the seeds 1 to N, and the table (in a
file of its own) has mean and range: how much of a single split's figure is luck.
Each row of the table is scored once; settings were chosen on an inner split of the training rows
(docs/explanation/results/accuracy.md).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.svm import LinearSVC

from pipeline.products import read_products
from pipeline.workflow_file import REPOSITORY, load_workflow

COLUMNS = {
    "mwpd_gpc": ("title", "raw_category", "description"),
    "flipkart_20k": ("title", "brand"),
    "fashion_product_images_small": ("title",),
}


def scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy, macro and weighted F1 over every category that is true or predicted."""
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(f1_score(truth, predicted, average="macro")),
        "weighted_f1": float(f1_score(truth, predicted, average="weighted")),
    }


def run_workflow(name: str, folder: str, runs: str, seed: int) -> tuple[dict[str, float], float, Path]:
    """Runs the workflow; returns the scores of its test products, seconds, and the predictions' folder."""
    workflow = REPOSITORY / "workflows" / f"{name}.yaml"
    started = time.monotonic()
    settings = [f"runners.local.folder={runs}", f"feed.split.seed={seed}"]
    command = [sys.executable, "-m", "shelfmark", "run", str(workflow), "--feed", folder]
    subprocess.run([*command, *(part for setting in settings for part in ("--set", setting))], check=True)
    seconds = time.monotonic() - started
    root = next(Path(runs).glob("*/pipeline/Predictor/predictions"))
    predictions = max(root.iterdir(), key=lambda path: int(path.name))
    table = ds.dataset(predictions / "Split-test").to_table(columns=["exclusive/label", "exclusive/classes"])
    label = np.asarray(table["exclusive/label"])
    best = np.array([row[0] for row in table["exclusive/classes"].to_pylist()])
    known = label >= 0
    return scores(label[known], best[known]), seconds, predictions


def run_peer(name: str, folder: str, predictions: Path) -> tuple[dict[str, float], float]:
    """LinearSVC on the same rows; scores and seconds of vectorising and fitting."""
    loaded = load_workflow(REPOSITORY / "workflows" / f"{name}.yaml", feed_folder=folder)
    text = {}
    for product in read_products(loaded):
        text[product.id] = " ".join(product.text.get(column) or "" for column in COLUMNS[name])
    rows = {}
    for part, splits in {"fit": ("train", "eval"), "test": ("test",)}.items():
        table = ds.dataset([str(p) for s in splits for p in sorted((predictions / f"Split-{s}").glob("*.parquet"))])
        found = table.to_table(columns=["id", "exclusive/label"])
        label = np.asarray(found["exclusive/label"])
        ids = np.array(found["id"].to_pylist())
        rows[part] = ids[label >= 0], label[label >= 0]
    started = time.monotonic()
    vectorisers = [
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    ]
    fit = [text[i] for i in rows["fit"][0]]
    test = [text[i] for i in rows["test"][0]]
    train_matrix = sparse.hstack([v.fit_transform(fit) for v in vectorisers], format="csr")
    model = LinearSVC().fit(train_matrix, rows["fit"][1])
    seconds = time.monotonic() - started
    predicted = model.predict(sparse.hstack([v.transform(test) for v in vectorisers], format="csr"))
    return scores(rows["test"][1], predicted), seconds


Scores = dict[str, float]


def compare(name: str, folder: str, seed: int) -> dict[str, Scores]:
    """Both models' scores and seconds on one split."""
    with tempfile.TemporaryDirectory() as runs:
        ours, seconds, predictions = run_workflow(name, folder, runs, seed)
        peer, peer_seconds = run_peer(name, folder, predictions)
    return {
        "Shelfmark workflow": {**ours, "seconds": seconds},
        "TF-IDF, LinearSVC": {**peer, "seconds": peer_seconds},
    }


def cell(values: list[float]) -> str:
    """One figure, or mean and range of several."""
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.4f}-{max(values):.4f})"


def table(found: dict[str, list[dict[str, Scores]]]) -> str:
    """Markdown of all catalogues' results, a list of splits each."""
    lines = [
        "| catalogue | model | accuracy | macro-F1 | weighted F1 | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, splits in found.items():
        for model in splits[0]:
            cells = [cell([split[model][key] for split in splits]) for key in ("accuracy", "macro_f1", "weighted_f1")]
            seconds = np.mean([split[model]["seconds"] for split in splits])
            lines.append(f"| {name} | {model} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogues", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--splits", type=int, default=0, metavar="N", help="so many splits by hash in place of the one")
    arguments = parser.parse_args()
    target = REPOSITORY / "benchmarks" / "results" / f"real_catalogues{'_splits' if arguments.splits else ''}.md"
    target.parent.mkdir(exist_ok=True)
    found: dict[str, list[dict[str, Scores]]] = {}
    for argument in arguments.catalogues:
        name, _, folder = argument.partition("=")
        for seed in range(1, arguments.splits + 1) if arguments.splits else [0]:
            found.setdefault(name, []).append(compare(name, folder, seed))
            print(table(found), flush=True)
            target.write_text(table(found))
            target.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
