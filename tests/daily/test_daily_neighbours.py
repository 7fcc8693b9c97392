"""Neighbours in what is published of a day: those that a full comparison of today's products gives, and no others."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.predictions.read import PredictionFiles
from modules.settings.similarity import IndexSettings
from modules.similarity import daily_neighbours
from modules.similarity.make import NEIGHBOURS, make_index
from pipeline import daily_index
from pipeline.results import published_model
from pipeline.workflow_file import load_workflow
from shelfmark.cli.serve import NEIGHBOURS as SERVED
from shelfmark.cli.serve import _products
from tests.cli.program import run
from tests.daily.indexed import example, push, renew
from tests.daily.shop import Rows, Shop, day
from tests.modules.training.catalogue import TREE

K = 4


@pytest.fixture(params=[0, 1, 2], ids="level {}".format)
def level(request: pytest.FixtureRequest) -> int:
    """Of the categories below which neighbours lie."""
    chosen: int = request.param
    return chosen


@pytest.fixture
def shop_with_table(shop: Shop, level: int) -> tuple[Shop, Rows]:
    """A shop whose run has an index of 80 products and a table of neighbours; a pass has predicted all of them."""
    return with_table(shop, level)


def with_table(shop: Shop, level: int) -> tuple[Shop, Rows]:
    rows = day(80)
    # A table that is hardly longer than what is published, so that products lose more than it can replace.
    similarity = f"similarity: {{indexes: {{joint: {{partition_level: {level}, neighbours: {K + 1}, queries: 10}}}}}}\n"
    shop.workflow.write_text(shop.workflow.read_text("utf-8") + similarity, "utf-8")
    shop.record("run-2", rows, example=example)
    version = push(shop, "run-2")
    shutil.rmtree(version / "joint")
    published, artifact = shop.runs.root / "run-2" / "published", shop.runs.root / "index"
    settings = IndexSettings(partition_level=level, neighbours=K + 1, queries=10)
    model = daily_index.fingerprint(shop.model / "Format-Serving")
    make_index(PredictionFiles(published), TREE, settings, model, 1, artifact, "joint")
    shutil.copytree(artifact / "joint", version / "joint")
    (version / "version.json").unlink()
    assert shop.recorder is not None
    outputs = {
        "published_predictions": (published, {"products": len(rows), "model": str(shop.model)}),
        "similarity_index": (artifact, {"model_fingerprint": model}),
    }
    shop.recorder.run("run-3", outputs)
    assert published_model(load_workflow(shop.workflow))[0].id == "run-3"
    shop.predict(rows)
    renew(shop)
    return shop, rows


def published(shop: Shop, capsys: pytest.CaptureFixture[str]) -> dict[str, list[dict[str, Any]]]:
    """Product to its neighbours in a publication of everything."""
    target = shop.folder / "out"
    shutil.rmtree(target, ignore_errors=True)
    code, _, err = run(
        capsys, "publish", str(target), "--neighbours", str(K), "--all", "--many-gone", "-w", shop.workflow
    )
    assert code == 0, err
    lines = [json.loads(line) for file in sorted(target.glob("*.jsonl")) for line in file.read_text().splitlines()]
    return {line["id"]: line["neighbours"] for line in lines if "deleted" not in line}


def check(shop: Shop, said: dict[str, list[dict[str, Any]]], level: int, rows: Rows, k: int = K) -> None:
    """The neighbours are those of a full comparison of the daily predictions within each partition."""
    table = shop.table()
    names = list(table)
    assert said.keys() == table.keys() == rows.keys()
    vectors = np.array([table[name]["embedding"] for name in names], np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    parts = [tuple((table[name]["exclusive/ancestors"] or [])[:level]) for name in names]
    outside = np.array([[own != other for other in parts] for own in parts])
    cosines[outside] = -np.inf
    np.fill_diagonal(cosines, -np.inf)
    for at, name in enumerate(names):
        scores = [near["score"] for near in said[name]]
        wanted = np.sort(cosines[at])[::-1][:k]
        # Halves have eleven binary digits: equal scores come in any order.
        np.testing.assert_allclose(scores, wanted[np.isfinite(wanted)], atol=3e-3, err_msg=name)
        own = [cosines[at][names.index(near["id"])] for near in said[name]]
        np.testing.assert_allclose(scores, own, atol=3e-3, err_msg=name)
        assert len({near["id"] for near in said[name]}) == len(scores)


def change(rows: Rows) -> None:
    """Products go, change so that they are in another category, and come; some lose all neighbours of the table."""
    for name in ("p1", "p2", "p4", "p6", "p8", "p11", "p15"):
        del rows[name]
    for name in ("p3", "p9"):
        rows[name] |= {"title": "canvas tote", "brand": "other"}
    rows["p12"] |= {"title": "leather ankle boot"}
    rows["new"] = {**rows["p7"], "id": "new"}
    rows["tote"] = {**rows["p3"], "id": "tote"}


def test_new_and_changed_products_have_neighbours_and_are_some(
    shop_with_table: tuple[Shop, Rows], level: int, capsys: pytest.CaptureFixture[str]
) -> None:
    shop, rows = shop_with_table
    check(shop, published(shop, capsys), level, rows)
    change(rows)
    shop.predict(rows)
    renew(shop)
    said = published(shop, capsys)
    check(shop, said, level, rows)
    # A copy of a product is its neighbour, and the other way round, whichever is the newer one.
    assert {near["id"] for near in said["new"]} >= {"p7"} and "new" in {near["id"] for near in said["p7"]}
    # The same publication again sends nothing: what is said of a product depends on the day alone.
    code, out, _ = run(capsys, "publish", str(shop.folder / "out"), "--neighbours", str(K), "-w", shop.workflow)
    assert code == 0 and f"0 new, 0 changed, 0 gone, {len(rows)} as before" in out


def test_the_api_answers_with_them(shop: Shop) -> None:
    shop, rows = with_table(shop, 0)
    change(rows)
    shop.predict(rows)
    renew(shop)
    table = _products(load_workflow(shop.workflow), None)
    assert table is not None
    documents = {name: json.loads(table.document(name) or b"") for name in rows}
    check(shop, {name: document["neighbours"] for name, document in documents.items()}, 0, rows, SERVED)
    assert table.document("p1") is None


def test_only_what_the_table_cannot_say_is_searched_for(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, rows = with_table(shop, 0)
    rows["new"] = {**rows["p7"], "id": "new"}
    shop.predict(rows)
    renew(shop)
    asked: list[int] = []
    search = daily_neighbours.LayeredIndex.search

    def counted(self: Any, queries: Any, *more: Any) -> Any:
        asked.append(len(queries))
        return search(self, queries, *more)

    monkeypatch.setattr(daily_neighbours.LayeredIndex, "search", counted)
    check(shop, published(shop, capsys), 0, rows)
    assert sum(asked) == 1


def test_indexes_that_were_built_anew_bring_a_table_of_their_own(
    shop_with_table: tuple[Shop, Rows], level: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, rows = shop_with_table
    monkeypatch.setattr(daily_index, "REBUILD_SHARE", 0.05)
    change(rows)
    shop.predict(rows)
    renewed = renew(shop)
    assert renewed.is_anew and (renewed.version / NEIGHBOURS / "joint.parquet").is_file()
    check(shop, published(shop, capsys), level, rows)
    del rows["new"], rows["p20"]
    rows["newer"] = {**rows["p21"], "id": "newer"}
    monkeypatch.setattr(daily_index, "REBUILD_SHARE", 0.5)
    shop.predict(rows)
    assert not renew(shop).is_anew
    check(shop, published(shop, capsys), level, rows)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_days_of_any_changes(shop: Shop, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    chance = random.Random(seed)
    level = seed - 1
    shop, rows = with_table(shop, level)
    fresh = list(day(300, seed=seed).values())[100:]
    for _ in range(5):
        for name in chance.sample(sorted(rows), 6):
            if chance.random() < 0.5:
                del rows[name]
            else:
                rows[name] |= chance.choice(
                    [{"title": f"tote {chance.random()}"}, {"price": chance.randrange(200) / 2}]
                )
        for row in (fresh.pop() for _ in range(chance.randrange(5))):
            rows[row["id"]] = row
        shop.predict(rows)
        renew(shop)
        check(shop, published(shop, capsys), level, rows)


@pytest.mark.slow
def test_after_a_kill_they_are_as_exact_as_the_days_rows(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop, rows = with_table(shop, 1)
    change(rows)
    shop.write(rows.values())
    # The predictions are whole, and the indexes are yesterday's.
    killed(shop, "tests.daily.predictor", "ended", "0")
    check(shop, published(shop, capsys), 1, rows)
    for point, share in (("written", 0.9), ("settled", 0.9), ("settled", 0.01)):
        name = f"new-{point}-{share}"
        rows[name] = {**rows["p7"], "id": name}
        shop.write(rows.values())
        killed(shop, "tests.daily.indexer", point, str(share))
        check(shop, published(shop, capsys), 1, rows)


def killed(shop: Shop, program: str, *arguments: str) -> None:
    """Runs a program that kills itself."""
    command = [sys.executable, "-m", program, str(shop.workflow), *arguments]
    died = subprocess.run(command, check=False, cwd=Path(__file__).parents[2], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr


def test_before_the_indexes_have_followed_the_first_day_nothing_is_published(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop, rows = with_table(shop, 0)
    shutil.rmtree(shop.place)
    shop.predict(rows)
    target = str(shop.folder / "out")
    code, _, err = run(capsys, "publish", target, "--neighbours", str(K), "-w", shop.workflow)
    assert code == 2 and "it ended before they followed" in err and "shelfmark predict" in err
    renew(shop)
    check(shop, published(shop, capsys), 0, rows)


def test_indexes_of_another_model_are_not_compared_with(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, rows = with_table(shop, 0)
    # As if the last pass had ended before the indexes of a new model were taken as base.
    monkeypatch.setattr("pipeline.daily_neighbours.model_of_version", lambda _folder: "another model")
    shop.predict(rows)
    code, _, err = run(capsys, "publish", str(shop.folder / "out"), "--neighbours", str(K), "-w", shop.workflow)
    assert code == 2 and "it ended before they followed" in err
