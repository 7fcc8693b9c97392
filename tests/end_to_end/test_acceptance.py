"""A run that accepts predictions at a precision: the table, the summary, the metrics and the documents agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from sqlalchemy import select

from api.classify.classifier import MAX_BATCH, PushedModels
from api.classify.reading import ProductReader, ReadProduct
from labelling.store import Store
from labelling.store.database import now
from labelling.store.rows import Label, append
from labelling.store.tables import batches, items
from modules.taxonomy import Taxonomy
from pipeline.results import published_acceptance
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import REPOSITORY, load_workflow

pytestmark = pytest.mark.slow

WORDS = {"Shoes > Boots": "boot", "Shoes > Sandals": "sandal", "Bags > Totes": "tote", "Bags > Packs": "pack"}
FIELDS = (
    "description", "brand", "raw_category", "gender", "size", "color", "price", "currency", "availability", "image",
    "retailer", "url",
)  # fmt: skip
WORKFLOW: dict[str, Any] = {
    "name": "trusted",
    "feed": {
        "files": ["feed.jsonl"],
        "fields": {"id": "id", "title": "title", "truth": "kind", **dict.fromkeys(FIELDS)},
        "split": {"eval_share": 0.1, "test_share": 0.4},
    },
    "taxonomy": {"file": "taxonomy.yaml"},
    "labels": {"truth": {"evaluate": True}},
    "features": {"title": {"kind": "text", "vocabulary": 200}},
    "objectives": {"exclusive": {"kind": "exclusive", "acceptance": {"precision": 0.95, "least_audited": 100}}},
    "evaluation": {"thresholds": {"exclusive": {"accuracy": 0.1}}},
    "sampling": None,
}


class Shop:
    """1,500 products, of which every fourth has a title that says nothing of its category."""

    def __init__(self, folder: Path):
        self.folder = folder
        rng = np.random.default_rng(3)
        self.truth: dict[str, str] = {}
        with (folder / "feed.jsonl").open("w") as stream:
            for i in range(1500):
                name = list(WORDS)[rng.integers(4)]
                self.truth[f"p{i}"] = name
                word = WORDS[name] if i % 4 else "thing"
                stream.write(json.dumps({"id": f"p{i}", "title": f"{word} model {i}", "kind": name}) + "\n")
        tree = [{"path": "Shoes"}, {"path": "Bags"}, *({"path": path, "exclusive": True} for path in WORDS)]
        (folder / "taxonomy.yaml").write_text(yaml.safe_dump({"categories": tree}))
        (folder / "shop.yaml").write_text(yaml.safe_dump(WORKFLOW))

    def shelfmark(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "shelfmark", *arguments], cwd=self.folder, capture_output=True, text=True,
            timeout=900, env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200"},
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == code and "Traceback" not in said, said
        return said

    def figures(self) -> dict[str, float]:
        said = self.shelfmark("metrics", "-w", "shop.yaml", "--json")
        values: dict[str, float] = json.loads(said[said.index("{") : said.rindex("}") + 1])["values"]["exclusive"]
        return values


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"))
    made.first = made.shelfmark("run", "shop.yaml")  # type: ignore[attr-defined]
    return made


def accepted(shop: Shop) -> dict[str, tuple[bool, str]]:
    """Product to whether it is accepted, and its category, in the newest table of predictions."""
    folders = (shop.folder / "runs" / "trusted" / "pipeline" / "Predictor" / "predictions").iterdir()
    newest = max(folders, key=lambda folder: int(folder.name))
    columns = ["id", "exclusive/accepted", "exclusive/category"]
    rows = [row for file in newest.rglob("*.parquet") for row in pq.read_table(file, columns=columns).to_pylist()]
    return {row["id"]: (row["exclusive/accepted"], row["exclusive/category"]) for row in rows}


def test_what_is_accepted_is_right_so_often_and_everything_agrees(shop: Shop) -> None:
    table = accepted(shop)
    taken = {product: category for product, (is_accepted, category) in table.items() if is_accepted}
    coverage = len(taken) / len(shop.truth)
    # Three quarters of the titles say it all, and the others nothing.
    assert table.keys() == shop.truth.keys() and 0.3 < coverage < 0.8
    assert np.mean([shop.truth[product] == category for product, category in taken.items()]) >= 0.95
    figures = shop.figures()
    assert figures["accepted_coverage"] == pytest.approx(coverage) and figures["accepted_precision_bound"] >= 0.95
    headline = f"Coverage at 95% precision: {coverage:.0%} of the catalogue (lower bound of precision"
    assert headline in shop.first  # type: ignore[attr-defined]
    report = (shop.folder / "runs" / "trusted" / "reports" / "latest.html").read_text()
    assert headline in report
    shop.shelfmark("publish", "out/", "-w", "shop.yaml")
    (documents,) = (shop.folder / "out").glob("*.jsonl")
    said = {row["id"]: row["objectives"]["exclusive"] for row in map(json.loads, documents.read_text().splitlines())}
    assert {product: answer["decision"] == "accept" for product, answer in said.items()} == {
        product: is_accepted for product, (is_accepted, _) in table.items()
    }


def test_the_next_days_feed_is_held_to_the_same_thresholds(shop: Shop) -> None:
    shop.shelfmark("predict", "-w", "shop.yaml")
    shop.shelfmark("predictions", "-w", "shop.yaml", "--published", "--output", "daily.jsonl")
    rows = [json.loads(line) for line in (shop.folder / "daily.jsonl").read_text().splitlines()]
    assert {row["split"] for row in rows} == {"daily"}
    assert {row["id"]: row["exclusive"]["accepted"] for row in rows} == {
        product: is_accepted for product, (is_accepted, _) in accepted(shop).items()
    }


def classified(shop: Shop) -> dict[str, bool]:
    """Product to whether the API's model accepts it, of the records as the feed has them."""
    loaded = load_workflow(Path("shop.yaml"))
    # Apart from its queue this is all that `POST /v1/classify` does.
    model = PushedModels(RunFolder.of(loaded.workflow).pushed, partial(published_acceptance, loaded))(None)
    assert model is not None
    records = [json.loads(line) for line in (shop.folder / "feed.jsonl").read_text().splitlines()]
    products = ProductReader(loaded.workflow, [tuple]).read(records, None)
    read = [product for product in products if isinstance(product, ReadProduct)]
    said = [
        answer for start in range(0, len(read), MAX_BATCH)
        for answer in model.answers([product.example for product in read[start : start + MAX_BATCH]], 1)
    ]  # fmt: skip
    return {
        product.id: answer["exclusive"]["decision"] == "accept"
        for product, answer in zip(read, said, strict=True)
        if answer is not None
    }


def test_the_api_accepts_what_the_runs_table_accepts(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.folder)
    assert classified(shop) == {product: is_accepted for product, (is_accepted, _) in accepted(shop).items()}


def answer(shop: Shop, batch: str, wrong: str = "") -> set[str]:
    """Labels a batch by the truth, but for those of one category; returns its products."""
    with Store(shop.folder / "labels.sqlite") as store:
        with store.read() as connection:
            row = connection.execute(select(items).join(batches).where(batches.c.id == batch)).all()
        assert row and all(item.suggestions == [] and item.source == "audit" for item in row)
        tree = load_taxonomy(shop)
        labels = []
        for item in row:
            truth = shop.truth[item.product_id]
            path = next(path for path in WORDS if path != truth) if truth == wrong else truth
            probability = item.inclusion_probability
            labels.append(
                Label(
                    item.product_id, "exclusive", tree.find(path).id, "yes", "ann", now(), "audit", batch, probability
                )
            )
        with store.write() as connection:
            append(connection, labels)
    return {item.product_id for item in row}


def load_taxonomy(shop: Shop) -> Taxonomy:
    pushed = next((shop.folder / "runs" / "trusted" / "pipeline").glob("ProductExampleGen/taxonomy/*/taxonomy.json"))
    return Taxonomy.load(pushed)


def decisions(shop: Shop) -> dict[str, bool]:
    """Product to whether what is published accepts it."""
    shop.shelfmark("predictions", "-w", "shop.yaml", "--published", "--output", "now.jsonl")
    rows = [json.loads(line) for line in (shop.folder / "now.jsonl").read_text().splitlines()]
    return {row["id"]: row["exclusive"]["accepted"] for row in rows}


def test_an_audit_takes_back_what_has_fallen_and_gives_it_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.folder)
    table = accepted(shop)
    place = ("--store", "labels.sqlite", "-w", "shop.yaml")
    said = shop.shelfmark("audit", "report", *place, code=2)
    assert "audit draw" in said
    said = shop.shelfmark("audit", "draw", "--size", "150", *place)
    population = {product for product, (is_accepted, _) in table.items() if is_accepted}
    assert "audit-1-exclusive: 150 products queued" in said and f"of {len(population):,} products" in said
    said = shop.shelfmark("audit", "report", *place)
    assert "0 of 150 products are labelled" in said and "next, label the products" in said
    first = answer(shop, "audit-1-exclusive")
    assert first <= population
    said = shop.shelfmark("audit", "report", *place)
    assert "\nno retailer: precision 100.0%" in said
    assert "all accepted products: precision 100.0% (9" in said and "150 of 150 products are labelled" in said
    assert decisions(shop) == {product: product in population for product in table}
    # Nothing is new since.
    said = shop.shelfmark("audit", "draw", *place)
    assert "exclusive: no accepted product is left to draw" in said and "next, when more is accepted: " in said
    # Had people said that all boots are something else, nothing of that category would be accepted any longer.
    (shop.folder / "labels.sqlite").rename(shop.folder / "before.sqlite")
    audit = json.loads((shop.folder / "runs" / "trusted" / "audits" / "1.json").read_text())
    audit_file = shop.folder / "runs" / "trusted" / "audits" / "1.json"
    audit_file.write_text(json.dumps(audit | {"is_queued": False, "verdict": None}))
    assert "audit-1-exclusive: 150 products queued" in shop.shelfmark("audit", "draw", *place)
    assert answer(shop, "audit-1-exclusive", wrong="Shoes > Boots") == first
    said = shop.shelfmark("audit", "report", *place, code=3)
    assert "FALLEN  Shoes > Boots: precision 0.0%" in said and "for review until another audit" in said
    wanted = decisions(shop)
    left = {product for product in population if table[product][1] != "Shoes > Boots"}
    fallen_overall = "FALLEN  all accepted products" in said
    assert wanted == {product: product in left and not fallen_overall for product in table}
    assert classified(shop) == wanted
    shop.shelfmark("publish", "again/", "-w", "shop.yaml")
    (documents,) = (shop.folder / "again").glob("*.jsonl")
    said_of = {row["id"]: row["objectives"]["exclusive"] for row in map(json.loads, documents.read_text().splitlines())}
    assert {name: own["decision"] == "accept" for name, own in said_of.items()} == wanted
    # A store without labels of the audit gives nothing again.
    with Store(shop.folder / "empty.sqlite"):
        pass
    said = shop.shelfmark("audit", "report", "--store", "empty.sqlite", "-w", "shop.yaml")
    assert "0 of 150 products are labelled" in said and "for review until another audit" in said
    assert decisions(shop) == wanted
    # Other labels of the same audit give it again.
    (shop.folder / "before.sqlite").replace(shop.folder / "labels.sqlite")
    shop.shelfmark("audit", "report", *place)
    assert decisions(shop) == {product: product in population for product in table}


def test_a_higher_precision_trains_nothing_and_accepts_a_subset(shop: Shop) -> None:
    before = {product for product, (is_accepted, _) in accepted(shop).items() if is_accepted}
    said = shop.shelfmark("run", "shop.yaml", "--set", "objectives.exclusive.acceptance.precision=0.999")
    states = {line.split()[0]: line.split()[1] for line in said.splitlines() if line.endswith(" s")}
    assert states["Trainer"] == "unchanged" and states["Predictor"] == "done"
    after = {product for product, (is_accepted, _) in accepted(shop).items() if is_accepted}
    assert (
        after < before
        and "Nothing is accepted at 99.9% precision." in said
        and shop.figures()["accepted_precision_asked"] == pytest.approx(0.999)
    )


def test_a_multi_label_objective_cannot_ask_for_it(shop: Shop) -> None:
    themes = "objectives.themes={kind: multi_label, labels: people, acceptance: {precision: 0.9}}"
    said = " ".join(shop.shelfmark("validate", "shop.yaml", "--set", themes, code=2).split())
    assert "objectives.themes.acceptance" in said and "only kind: exclusive has it" in said
