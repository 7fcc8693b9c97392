"""Label Studio's exports of all years, without a server: read rightly, or refused in words."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from labelling.formats.files import ImportedLabels, import_labels
from labelling.store import Store, rows
from modules.errors import InputError
from tests.labelling import shop
from tests.labelling.shop import BOOTS, NOW, SANDALS, TOTES

TIMES = {"created_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:05:00Z", "lead_time": 3.5}
BOOTS_PATH, TOTES_PATH = ["Shoes", "Boots"], ["Bags", "Totes"]


def taxonomy(*paths: list[str]) -> dict[str, Any]:
    return {"from_name": "category", "to_name": "product", "type": "taxonomy", "value": {"taxonomy": list(paths)}}


def choices(*texts: str) -> dict[str, Any]:
    return {"from_name": "answer", "to_name": "product", "type": "choices", "value": {"choices": list(texts)}}


def annotation(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"completed_by": {"id": 1, "email": "a@b.c"}, "result": list(results), **TIMES, **more}


def data(product: str = "p0", objective: str = "exclusive", category: str | None = None) -> dict[str, Any]:
    about = {"objective": objective, "category": category, "source": "random", "inclusion_probability": 0.5}
    return {"product_id": product, "text": "a text, with 'marks'", "shelfmark": about}


def task(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": data(**more), "annotations": list(annotations), "predictions": [], "drafts": []}


def took(folder: Path, content: Any, name: str = "export.json") -> tuple[list[tuple[Any, ...]], ImportedLabels]:
    """(product, category, value, annotator) of the rows that an import of ``content`` adds, and what it says."""
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with Store(folder / "labels.sqlite") as store:
        shop.fill(store)
        imported = import_labels(store, [file], now=NOW)
        with store.read() as connection:
            logged = [(r.product_id, r.category, r.value, r.annotator) for r in rows.read(connection)]
    return logged, imported


@pytest.mark.parametrize("results", [(), (taxonomy(BOOTS_PATH),), (taxonomy(BOOTS_PATH), choices("none of these"))])
@pytest.mark.parametrize("flag", ["was_cancelled", "skipped"])
def test_skipped_is_skipped_whatever_the_result_holds(tmp_path: Path, results: Any, flag: str) -> None:
    logged, _ = took(tmp_path, [task(annotation(*results, **{flag: True}))])
    assert logged == [("p0", None, "skip", "label-studio:a@b.c")]


@pytest.mark.parametrize(
    "results",
    [
        (taxonomy(BOOTS_PATH, TOTES_PATH),),
        (taxonomy(BOOTS_PATH), taxonomy(TOTES_PATH)),
        (taxonomy(BOOTS_PATH), choices("none of these")),
        (choices("none of these"), taxonomy(BOOTS_PATH)),
        (choices("yes", "no"),),
    ],
)
def test_two_answers_are_an_error_with_the_task_s_number(tmp_path: Path, results: Any) -> None:
    with pytest.raises(InputError) as caught:
        took(tmp_path, [task(annotation(taxonomy(BOOTS_PATH))), task(annotation(*results), product="p1")])
    assert "export.json:2" in str(caught.value) and "expected one answer" in str(caught.value)


def test_a_category_ticked_with_the_one_above_it_is_one_answer(tmp_path: Path) -> None:
    logged, _ = took(tmp_path, [task(annotation(taxonomy(["Shoes"], BOOTS_PATH)))])
    assert [row[1:3] for row in logged] == [(BOOTS, "yes")]


def test_several_categories_of_an_objective_that_allows_them(tmp_path: Path) -> None:
    logged, _ = took(tmp_path, [task(annotation(taxonomy(BOOTS_PATH, TOTES_PATH)), objective="rule_based")])
    assert sorted(row[1] for row in logged) == sorted([BOOTS, TOTES]) and {row[2] for row in logged} == {"yes"}


def test_emptied_controls_are_no_answer_and_hide_none(tmp_path: Path) -> None:
    tasks = [task(annotation(taxonomy())), task(annotation(choices()), product="p1"), task(annotation(), product="p2")]
    logged, imported = took(tmp_path, [*tasks, task(annotation(taxonomy(TOTES_PATH)), product="p3")])
    assert logged == [("p3", TOTES, "yes", "label-studio:a@b.c")]
    assert imported.notes == ("passed over: 3 annotations in which nothing is chosen",)


def test_completions_of_before_version_1(tmp_path: Path) -> None:
    done = {"id": 1001, "created_at": 1600000000, "lead_time": 2.0, "result": [taxonomy(BOOTS_PATH)]}
    old = {
        "id": 1,
        "data": data(),
        "completions": [done, {**done, "id": 1002, "skipped": True, "created_at": 1600000009}],
    }
    logged, _ = took(tmp_path, [old])
    assert logged == [("p0", BOOTS, "yes", "label-studio"), ("p0", None, "skip", "label-studio")]


def record(**more: Any) -> dict[str, Any]:
    """A line of JSON-MIN."""
    return {**data(), "id": 1, "annotator": 7, "annotation_id": 3, **TIMES, **more}


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        ({"category": [{"taxonomy": [BOOTS_PATH]}]}, [(BOOTS, "yes")]),
        ({"category": {"taxonomy": [BOOTS_PATH]}}, [(BOOTS, "yes")]),
        ({"category": [BOOTS_PATH]}, [(BOOTS, "yes")]),
        ({"answer": "none of these"}, [(None, "none_of_these")]),
        ({"answer": {"choices": ["none of these"]}}, [(None, "none_of_these")]),
        ({}, []),
    ],
)
@pytest.mark.parametrize("shape", ["json-min", "csv", "json lines"])
def test_json_min_and_csv(tmp_path: Path, controls: dict[str, Any], expected: Any, shape: str) -> None:
    line = record(**controls)
    if shape == "csv":
        # As pandas writes it: what JSON-MIN has as a text stays one, the task's data become Python's notation.
        cells = {n: v if isinstance(v, str) else json.dumps(v) if n in controls else str(v) for n, v in line.items()}
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, cells)
        writer.writeheader()
        writer.writerow(cells)
        logged, imported = took(tmp_path, buffer.getvalue(), "export.csv")
    else:
        logged, imported = took(tmp_path, json.dumps(line) if shape == "json lines" else [line])
    assert [(row[1], row[2], row[3]) for row in logged] == [(*pair, "label-studio:7") for pair in expected]
    assert bool(imported.notes) == (not expected)


def test_a_cloud_storage_s_file_and_a_page_of_the_api(tmp_path: Path) -> None:
    own = annotation(taxonomy(BOOTS_PATH))
    logged, _ = took(tmp_path, {"id": 5, **own, "task": {"id": 1, "data": data()}})
    assert [row[:2] for row in logged] == [("p0", BOOTS)]
    logged, _ = took(tmp_path, {"total": 1, "tasks": [task(annotation(taxonomy(TOTES_PATH)), product="p1")]})
    assert [row[:2] for row in logged] == [("p0", BOOTS), ("p1", TOTES)]


def test_predictions_and_drafts_are_no_answers_and_that_is_said(tmp_path: Path) -> None:
    unanswered = task()
    unanswered["predictions"] = unanswered["drafts"] = [{"result": [taxonomy(BOOTS_PATH)]}]
    logged, imported = took(tmp_path, [unanswered])
    assert logged == [] and "1 task without an annotation" in imported.notes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([task(annotation(choices("Not sure")))], "'Not sure'"),
        ([{"id": 1, "annotations": [15, 16], "data": data()}], "not only their ids"),
        ([{"id": 1, "annotations": [annotation()]}], "'product_id' under 'data'"),
        ([record(product_id=None, category=[BOOTS_PATH])], "product_id"),
        ([{"image": "a.jpg"}], "'product_id' under 'data'"),
        ([task(annotation({"type": "taxonomy", "value": {"taxonomy": "Shoes"}}))], "to be a list"),
        ([task(annotation(taxonomy(["Shoes", "Boot"])))], "did you mean 'Shoes > Boots'"),
        ([task({"result": "x"})], "'result' to be a list"),
        ("[1, 2", "not JSON"),
        ("<xml/>", "as Label Studio exports it"),
    ],
)
def test_what_is_no_export_is_refused_in_words(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        took(tmp_path, content)
    assert said in str(caught.value) and "Error" not in str(caught.value)


def test_a_table_of_ids_and_categories(tmp_path: Path) -> None:
    text = "product_id,category\n p0 ,Shoes > Boots\n7.0,Bags > Totes\n\n"
    logged, imported = took(tmp_path, text, "labels.csv")
    assert logged == [("p0", BOOTS, "yes", "import"), ("7", TOTES, "yes", "import")]
    assert imported.sources == {"import": 2} and imported.products == {"p0", "7"}
    assert "time now" in imported.notes[0] and "objective exclusive" in imported.notes[0]
    # Imported again, later: what stands already is not said again, what was changed is.
    file = tmp_path / "labels.csv"
    for content, counts in ((text, (0, 2)), (text.replace("Boots", "Sandals"), (1, 1)), (text, (1, 1))):
        file.write_text(content)
        with Store(tmp_path / "labels.sqlite") as store:
            again = import_labels(store, [file], now=NOW + 10_000_000 * (2 + counts[1]))
        assert (again.added, again.known) == counts
    with Store(tmp_path / "labels.sqlite") as store, store.read() as connection:
        assert [r.category for r in rows.of_product(connection, "p0")] == [BOOTS, SANDALS, BOOTS]


def test_what_a_model_says_is_kept_and_no_answer(tmp_path: Path) -> None:
    from labelling.store import queue

    file = tmp_path / "llm.csv"
    file.write_text("product_id,category,source,annotator\np0,Shoes > Boots,model,some-model\n")
    with Store(tmp_path / "labels.sqlite") as store:
        shop.fill(store, shop.batch(2))
        imported = import_labels(store, [file], now=NOW)
        assert (imported.added, imported.sources) == (1, {"model": 1})
        assert import_labels(store, [file], now=NOW + 1).added == 0
        with store.write() as connection:
            # It is still asked about, and a new batch may ask about it, too.
            assert queue.item_of(connection, queue.take(connection, "ann", NOW) or 0).product_id == "p0"  # type: ignore[union-attr]
            assert rows.standing_of(connection, ["p0"], shop.KINDS) == {}
            assert [row.source for row in rows.counts(connection)] == ["model"]
