"""There and back: what is exported goes into a real Label Studio, and what is answered there comes back as labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from labelling.store import Store, rows
from labelling.store.answering import Answer, give
from shelfmark.cli import app
from tests.labelling import shop
from tests.labelling.shop import BOOTS, NOW, SANDALS, TOTES
from tests.servers import LabelStudio, label_studio_server

pytestmark = pytest.mark.label_studio


@pytest.fixture(scope="module")
def server() -> Iterator[LabelStudio]:
    with label_studio_server() as found:
        yield found


class Project:
    """A project of the server, over its API."""

    def __init__(self, server: LabelStudio, interface: str):
        headers = {"authorization": f"Token {server.token}"}
        self.http = httpx.Client(base_url=f"{server.url}/api", headers=headers, timeout=120)
        self.user = self._json("GET", "/current-user/whoami")["id"]
        self.id = self._json("POST", "/projects/", json={"title": "Shop", "label_config": interface})["id"]

    def _json(self, method: str, path: str, **more: Any) -> Any:
        answer = self.http.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def put(self, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """Imports tasks; what the server says that it took."""
        return self._json("POST", f"/projects/{self.id}/import", json=tasks)

    def export(self) -> list[dict[str, Any]]:
        """Every task with its annotations, as ``JSON`` in the export menu."""
        query = {"exportType": "JSON", "download_all_tasks": "true"}
        return self._json("GET", f"/projects/{self.id}/export", params=query)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Product to its task, predictions and annotations included."""
        found = self._json("GET", "/tasks/", params={"project": self.id, "fields": "all", "page_size": 100})
        return {task["data"]["product_id"]: task for task in found["tasks"]}

    def answer(self, task: dict[str, Any], *results: dict[str, Any], cancelled: bool = False) -> None:
        """What the page sends when somebody submits, or skips."""
        body = {"result": list(results), "was_cancelled": cancelled, "lead_time": 4.5}
        self._json("POST", f"/tasks/{task['id']}/annotations/", json=body)

    def change(self, annotation: dict[str, Any], *results: dict[str, Any]) -> None:
        """What the page sends when somebody updates an annotation; regions keep what else they carry."""
        self._json("PATCH", f"/annotations/{annotation['id']}/", json={"result": list(results)})


def taxonomy(*path: str) -> dict[str, Any]:
    value = {"taxonomy": [list(path)]}
    return {"id": "x", "from_name": "category", "to_name": "product", "type": "taxonomy", "value": value}


def choice(text: str) -> dict[str, Any]:
    value = {"choices": [text]}
    return {"id": "y", "from_name": "answer", "to_name": "product", "type": "choices", "value": value}


def shelfmark(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["label", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def exported(place: str, folder: Path, batch: str) -> tuple[list[dict[str, Any]], str]:
    """The tasks and the labelling interface that the command line writes."""
    tasks, interface = folder / f"{batch}.json", folder / f"{batch}.xml"
    shelfmark("export", str(tasks), "--interface", str(interface), "--batch", batch, "--store", place)
    return json.loads(tasks.read_text()), interface.read_text()


def logged(place: str) -> list[tuple[str, str | None, str, str, str]]:
    """(product, category, value, annotator, source) in the order of the log."""
    with Store(place) as store, store.read() as connection:
        return [(r.product_id, r.category, r.value, r.annotator, r.source) for r in rows.read(connection)]


def said(store: Store, product: str, value: str, category: str | None, item: int) -> None:
    with store.write() as connection:
        give(connection, Answer(product, "exclusive", value, "ann", product, item, category), NOW + item)


def test_there_and_back(server: LabelStudio, tmp_path: Path) -> None:
    place = str(tmp_path / "labels.sqlite")
    with Store(place) as store:
        title = 'Lack & Leder <b>"7"</b> 🥾'
        products = [shop.product(f"p{i}", title=title) for i in range(6)]
        shop.fill(store, shop.batch(6), products=products)
        said(store, "p0", "yes", BOOTS, 1)
        said(store, "p1", "none_of_these", None, 2)
        said(store, "p2", "yes", SANDALS, 3)
    before = logged(place)
    tasks, interface = exported(place, tmp_path, "round-1")
    project = Project(server, interface)
    took = project.put(tasks)
    assert (took["task_count"], took["prediction_count"], took["annotation_count"]) == (6, 6, 3)

    there = project.tasks()
    assert title in there["p4"]["data"]["text"]
    # The model's suggestion is a pre-annotation.
    [suggested] = there["p4"]["predictions"]
    assert suggested["result"][0]["value"] == {"taxonomy": [["Shoes", "Boots"]]}
    assert suggested["score"] == pytest.approx(0.6)

    # Nothing changed there: nothing new here.
    back = tmp_path / "back.json"
    back.write_text(json.dumps(project.export()))
    assert "0 rows added" in shelfmark("import", str(back), "--store", place)
    assert logged(place) == before

    project.answer(there["p3"], taxonomy("Bags", "Totes"))
    project.answer(there["p4"], choice("none of these"))
    project.answer(there["p5"], cancelled=True)
    [old] = there["p2"]["annotations"]
    project.change(old, {**old["result"][0], "value": {"taxonomy": [["Shoes", "Boots"]]}})
    back.write_text(json.dumps(project.export()))
    carl = ("--annotator", f"{project.user}=carl")
    assert "4 rows added" in shelfmark("import", str(back), *carl, "--store", place)
    assert sorted(set(logged(place)) - set(before)) == [
        ("p2", BOOTS, "yes", "carl", "margin"),
        ("p3", TOTES, "yes", "carl", "margin"),
        ("p4", None, "none_of_these", "carl", "margin"),
        ("p5", None, "skip", "carl", "margin"),
    ]
    assert "0 rows added" in shelfmark("import", str(back), *carl, "--store", place)


def test_questions_about_one_category(server: LabelStudio, tmp_path: Path) -> None:
    place = str(tmp_path / "labels.sqlite")
    with Store(place) as store:
        items = [shop.item(i, category=BOOTS) for i in range(3)]
        shop.fill(store, shop.batch(name="questions", objective="rule_based", items=items))
    tasks, interface = exported(place, tmp_path, "questions")
    project = Project(server, interface)
    project.put(tasks)
    there = project.tasks()
    assert there["p0"]["data"]["question"] == "Shoes > Boots"
    assert there["p0"]["predictions"][0]["result"][0]["value"] == {"choices": ["yes"]}
    project.answer(there["p0"], choice("yes"))
    project.answer(there["p1"], choice("no"))
    back = tmp_path / "back.json"
    back.write_text(json.dumps(project.export()))
    shelfmark("import", str(back), "--annotator", f"{project.user}=carl", "--store", place)
    assert logged(place) == [("p0", BOOTS, "yes", "carl", "margin"), ("p1", BOOTS, "no", "carl", "margin")]
