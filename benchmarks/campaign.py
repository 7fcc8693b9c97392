"""A labelling campaign through the real components and the real store, the feed's truth in the annotator's place.

    python -m benchmarks.campaign WORKFLOW FEED_FOLDER OUTPUT [ROUNDS [SIZE]]

    python -m benchmarks.campaign workflows/flipkart_20k_few_labels.yaml DIR /tmp/campaign 3 100

Each round: ``shelfmark run``, ``shelfmark label import-batch``, then every queued product is taken from the store's
queue and answered. The last run learns from all of it. Prints the accuracy on the test split after each number of
labels, and looks up every label's batch in ML Metadata alone: the model that asked, strategy, scores and seed. Without
a label the workflow's model must be ``lsa``. Some two minutes per round at 20,000 products on two cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from components.active_sampler.picks import picks_of
from components.record import properties_of, record_of
from labelling.store import Store, queue, rows
from labelling.store.answering import Answer, give
from labelling.store.database import now
from pipeline.inputs import taxonomy_of
from pipeline.products import read_products
from pipeline.workflow_file import load_workflow

ANNOTATOR = "truth"


def answer_all(place: Path, truth: Mapping[str, str]) -> int:
    """Takes product after product from the queue, as a page does, and gives the answers; returns how many."""
    count = 0
    with Store(str(place)) as store:
        while True:
            with store.write() as connection:
                item = queue.take(connection, ANNOTATOR, now())
                if item is None:
                    return count
                asked = queue.item_of(connection, item)
                assert asked is not None
                category = truth.get(asked.product_id)
                value = "yes" if category else "none_of_these"
                answer = Answer(
                    asked.product_id, "exclusive", value, ANNOTATOR, f"{item}", item, category, seconds=0.0
                )  # fmt: skip
                give(connection, answer, now())
            count += 1


def traced(metadata: Path, place: Path) -> list[dict[str, object]]:
    """What ML Metadata alone knows of each label that a batch asked for."""
    from components.class_metrics.queries import open_store

    picks: dict[str, dict[str, object]] = {}
    known = open_store(str(metadata))
    for artifact in known.get_artifacts_by_type("components.LabellingBatch"):
        facts = properties_of(artifact)
        shared = {name: facts[f"exclusive/{name}"] for name in ("strategy", "seed", "round")}
        for pick in picks_of(facts, record_of(known, artifact.id)):
            if pick["objective"] == "exclusive":
                picks[pick["product"]] = {**pick, "model": facts["model"], **shared}
    with Store(str(place)) as store, store.read() as connection:
        return [picks[row.product_id] | {"product": row.product_id} for row in rows.read(connection) if row.batch]


def main(workflow: str, feed: str, output: str, rounds: int = 3, size: int = 100) -> None:
    """Plays the campaign and prints what came out."""
    folder = Path(output).absolute()
    store = folder / "labels.sqlite"
    settings = [f"runners.local.folder={folder / 'runs'}", f"labels.store={store}", f"sampling.size={size}"]
    settings.append(f"feed.folder={Path(feed).absolute()}")
    shared = [part for one in settings for part in ("--set", one)]
    loaded = load_workflow(workflow, settings)
    by_path = {category.path: category.id for category in taxonomy_of(loaded).exclusive}
    truth = {product.id: by_path[product.truth] for product in read_products(loaded) if product.truth in by_path}
    name = loaded.workflow.name
    curve = []
    labels = 0
    for number in range(rounds + 1):
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "shelfmark", "run", workflow, *shared], check=True)
        seconds = time.monotonic() - started
        told = subprocess.run(
            [sys.executable, "-m", "shelfmark", "metrics", "-w", workflow, "--json", *shared],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        curve.append((labels, json.loads(told.stdout)["values"]["exclusive"], seconds))
        if number < rounds:
            subprocess.run(
                [sys.executable, "-m", "shelfmark", "label", "import-batch", "-w", workflow, *shared], check=True
            )
            labels += answer_all(store, truth)
    print("\n| labels | accuracy | macro F1 | seconds of the run |\n| --- | --- | --- | --- |")
    for count, values, seconds in curve:
        print(f"| {count:,} | {values['accuracy']:.3f} | {values['macro_f1']:.3f} | {seconds:.0f} |")
    found = traced(folder / "runs" / name / "metadata.sqlite", store)
    print(
        f"\n{len(found):,} labels, each with model, strategy, scores and seed in ML Metadata; the first and the last:"
    )
    for one in (found[0], found[-1]):
        print(json.dumps(one))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    workflow, feed, output = arguments[:3]
    main(workflow, feed, output, *map(int, arguments[3:]))
