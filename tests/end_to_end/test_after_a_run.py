"""What follows a run: the same feed predicted by itself, its predictions published, and the shop's API over them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from modules.predictions.daily.files import DailyFiles
from modules.predictions.read import PredictionFiles, Query
from pipeline.workflow_file import REPOSITORY

pytestmark = pytest.mark.slow
SETTINGS = (
    "feed.demo.products=500", "training.epochs=2", "sampling=null", "similarity=null",
    "evaluation.thresholds={exclusive: {accuracy: 0.0}}",
)  # fmt: skip
CLOSE = 1e-5
"""How far probabilities may be apart: batches of other sizes add up in another order."""


class Shop:
    """A folder with a run of the demo; commands are processes of their own."""

    def __init__(self, folder: Path):
        self.folder, self.runs = folder, folder / "runs" / "demo"

    def command(self, *arguments: str) -> dict[str, Any]:
        """What starts a command, as arguments of subprocess."""
        given = [part for setting in SETTINGS for part in ("--set", setting)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200"}
        command = [sys.executable, "-m", "shelfmark", *arguments, "--demo", *given]
        return {"args": command, "cwd": self.folder, "env": environment, "text": True}

    def shelfmark(self, *arguments: str) -> str:
        done = subprocess.run(**self.command(*arguments), capture_output=True, timeout=900, check=False)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr
        return done.stdout

    def published(self) -> PredictionFiles:
        """The table that the run itself has made."""
        (folder,) = (self.runs / "pipeline" / "PublishedPredictor" / "published_predictions").iterdir()
        return PredictionFiles(folder)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"))
    made.shelfmark("run")
    return made


def rows_of(files: PredictionFiles) -> dict[str, dict[str, Any]]:
    """Product to its row, without the columns that say which run's labels and rules there were."""
    kept = [name for name in files.schema.names if name.rpartition("/")[2] not in ("label", "given", "rules")]
    return {row["id"]: row for table in files.select(Query(), kept) for row in table.to_pylist()}


def test_a_day_says_what_the_run_has_said(shop: Shop) -> None:
    run = rows_of(shop.published())
    said = shop.shelfmark("predict")
    assert f"{len(run):,} new, 0 changed, 0 unchanged, 0 gone" in said
    daily = rows_of(DailyFiles(shop.runs / "daily"))
    assert daily.keys() == run.keys() and len(run) > 400
    for product, row in run.items():
        own = daily[product]
        assert own.keys() == row.keys()
        for name in row.keys() - {"split"}:
            if name.endswith("/classes"):
                # Of classes whose probabilities are equal within rounding, either may come first.
                np.testing.assert_array_equal(own[name][:1], row[name][:1], f"{product} {name}")
            elif isinstance(row[name], float) or (isinstance(row[name], list) and name.endswith("ies")):
                np.testing.assert_allclose(own[name], row[name], atol=CLOSE, rtol=CLOSE, err_msg=f"{product} {name}")
            elif not name.startswith("embedding"):
                assert own[name] == row[name], f"{product} {name}"
    assert f"0 new, 0 changed, {len(run):,} unchanged, 0 gone" in shop.shelfmark("predict")
    out = shop.folder / "out"
    shop.shelfmark("publish", str(out))
    documents = [json.loads(line) for file in sorted(out.rglob("*.jsonl")) for line in file.read_text().splitlines()]
    assert {document["id"] for document in documents} == run.keys() and len(documents) == len(run)
    for document in documents:
        answer, row = document["objectives"]["exclusive"], run[document["id"]]
        assert (answer["category_id"], answer["category"]) == (row["exclusive/category_id"], row["exclusive/category"])


@contextmanager
def served(shop: Shop, code: signal.Signals) -> Iterator[httpx.Client]:
    """A client of the API, which the signal then ends."""
    output = subprocess.PIPE
    with subprocess.Popen(**shop.command("serve", "--port", "0"), stdout=output, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if line.startswith("next: curl "):
                    break
            else:
                pytest.fail("".join(said))
            address = said[-1].split()[-1].removesuffix("/readyz")
            with httpx.Client(base_url=address, timeout=120.0) as client:
                yield client
        finally:
            process.send_signal(code)
            rest, _ = process.communicate(timeout=60)
    assert process.returncode in (0, 130) and "Traceback" not in "".join(said) + rest, "".join(said) + rest


@pytest.mark.parametrize("code", [signal.SIGINT, signal.SIGTERM])
def test_the_api_serves_the_run_until_it_is_stopped(shop: Shop, code: signal.Signals) -> None:
    run = rows_of(shop.published())
    product, row = next(iter(run.items()))
    with served(shop, code) as client:
        ready = client.get("/readyz").json()
        assert ready["ready"] and {"model", "run"} <= ready.keys()
        asked = {"products": [{"id": "1", "title": row["title"]}, {"title": "no id"}], "top": 2}
        good, bad = client.post("/v1/classify", json=asked).json()["results"]
        assert good["id"] == "1" and len(good["objectives"]["exclusive"]["top"]) <= 2
        assert bad["error"]["reason"] == "no_id"
        answer = client.get(f"/v1/products/{product}").json()["objectives"]["exclusive"]
        assert (answer["category_id"], answer["category"]) == (row["exclusive/category_id"], row["exclusive/category"])
        assert client.get("/v1/products/nobody").status_code == 404
        categories = client.get("/v1/categories").json()["categories"]
        assert sum(category["products"] for category in categories if category["parent"] is None) <= len(run)


def test_why_says_what_spoke_for_a_category(shop: Shop) -> None:
    rows = rows_of(shop.published())
    product = min(rows)
    table = shop.shelfmark("why", product)
    said = json.loads(shop.shelfmark("why", product, "--json"))
    row, (reasons, *_) = rows[product], said["objectives"]["exclusive"]
    assert said["id"] == product and said["is_published"]
    assert reasons["category_id"] == row["exclusive/category_id"] and row["exclusive/category"] in table
    np.testing.assert_allclose(reasons["probability"], row["exclusive/probability"], atol=1e-3)
    effects = [part["effect"] for part in reasons["parts"]]
    assert effects and effects == sorted(effects, reverse=True)
    other = next(own["exclusive/category"] for own in rows.values() if own["exclusive/category"] not in table)
    against = json.loads(shop.shelfmark("why", product, "--category", other, "--objective", "exclusive", "--json"))
    assert list(against["objectives"]) == ["exclusive"]
    assert against["objectives"]["exclusive"][0]["against"]["category"] == other


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("no-such-product",), "no-such-product"),
        (("no\x1b[31msuch",), "PRODUCT"),
        (("ID", "--category", "No such category"), "No such category"),
        (("ID", "--objective", "exclusiv"), "exclusive"),
    ],
)
def test_why_of_nothing_that_is_there(shop: Shop, arguments: tuple[str, ...], named: str) -> None:
    product = min(rows_of(shop.published()))
    given = [product if argument == "ID" else argument for argument in arguments]
    done = subprocess.run(**shop.command("why", *given), capture_output=True, timeout=300, check=False)
    assert done.returncode == 2 and named in done.stderr, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "\x1b" not in done.stderr and not done.stdout
