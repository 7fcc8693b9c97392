"""The end of a run, from recorded runs to the console and the report."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from components.class_metrics.properties import figures_of, pack_figures
from components.record import pack
from components.scann_index.quality import quality_of
from modules.errors import InputError
from modules.examples import TAXONOMY_FILE, Counts
from pipeline.local import RunResult, StepResult
from pipeline.results import export_predictions
from pipeline.run_folder import RunFolder
from pipeline.runs import Runs
from pipeline.summary import collect, summarise
from pipeline.workflow_file import LoadedWorkflow, load_workflow
from tests.modules.reporting.sample import taxonomy, write_predictions
from tests.pipeline.recorded import Recorder, category

FIRST, SECOND, THIRD, FOURTH = (f"2031-05-0{day}T10-00-00.000" for day in range(1, 5))


def metrics(accuracy: float, spread: float, boots: float = 0.9) -> dict[str, Any]:
    tree = taxonomy()
    by_path = {c.text: c.id for c in tree}
    figures = {
        "exclusive/accuracy": accuracy,
        "exclusive/accuracy/lower": accuracy - spread,
        "exclusive/accuracy/upper": accuracy + spread,
        "exclusive/top_5_accuracy": 0.97,
        "exclusive/macro_f1": 0.5,
        "exclusive/calibration_error": 0.04,
        "exclusive/example_count": 24.0,
    }
    for number, path in enumerate(["Shoes > Boots", "Shoes > Sandals", "Bags > Totes", "Hats"]):
        f1 = boots if number == 0 else 0.8 - 0.25 * number
        text = category(path, f1=f1, f1__lower=f1 / 2, f1__upper=1.0, precision=0.5, support=3.0, examples=3 + number)
        figures[f"category/exclusive/{by_path[path]}"] = text
    return figures


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedWorkflow:
    (tmp_path / "feed.csv").write_text("id,title\n1,Red boots\n")
    (tmp_path / "taxonomy.yaml").write_text("categories:\n  - {path: [Shoes], exclusive: true}\n")
    (tmp_path / "rules.yaml").write_text("rules: []\n")
    (tmp_path / "shop.yaml").write_text(
        "name: shop\nfeed: {files: [feed.csv]}\ntaxonomy: {file: taxonomy.yaml}\nrules: {file: rules.yaml}\n"
        f"runners: {{local: {{folder: {tmp_path / 'runs'}}}}}\n"
    )
    return load_workflow(tmp_path / "shop.yaml")


@pytest.fixture
def folder(loaded: LoadedWorkflow) -> RunFolder:
    found = RunFolder.of(loaded.workflow)
    for part in (found.root, found.logs):
        part.mkdir(parents=True)
    return found


class Upgraded(Recorder):
    """Its first runs are an earlier version's, with every figure among the properties; the others are this one's."""

    earlier = 0

    def run(self, name: str, outputs: Mapping[str, Any]) -> dict[str, int]:
        self.earlier -= 1
        return super().run(name, outputs if self.earlier >= 0 else kept(outputs))


@pytest.fixture(params=[100, 1, 0], ids=["earlier", "upgraded", "now"])
def recorder(folder: RunFolder, request: pytest.FixtureRequest) -> Recorder:
    found = Upgraded(Path(folder.metadata), "shop")
    found.earlier = request.param
    return found


def outputs(folder: RunFolder, run: str, **changed: Any) -> dict[str, Any]:
    """A whole run's outputs, written for real; ``changed`` by key, None leaves one out."""
    root = folder.root / run
    counts = Counts(leaked_titles=2, rule_products=40, rules=7, files=3)
    counts.products.update(train=60, test=40)
    counts.quarantined.update(no_id=4, broken_json=1)
    counts.labels.update({("exclusive", "random"): 24, ("exclusive", "margin"): 9, ("rule_based", "rules"): 40})
    counts.unmatched_labels.update(exclusive=5)
    counts.unmatched_ids["exclusive"] = ("p7", "p8")
    counts.model_labels.update(exclusive=3)
    (root / "taxonomy").mkdir(parents=True)
    taxonomy().write(root / "taxonomy" / TAXONOMY_FILE)
    write_predictions(root / "predictions", {"train": 60, "test": 40})
    (root / "quarantine").mkdir()
    bad = {"file": "feed.csv", "line": 7, "reason": "no_id", "detail": "<b>no id</b>", "raw": "<script>x()</script>"}
    with gzip.open(root / "quarantine" / "quarantine-00000-of-00001.jsonl.gz", "wt") as stream:
        stream.write(json.dumps(bad) + "\n")
    (root / "model" / "Format-Serving").mkdir(parents=True)
    history = {"loss": [2.0, 1.0, 0.7], "val_loss": [2.1, 1.4, 1.5]}
    facts = {"parameters": 1234, "result": {"epochs": 3, "best_epoch": 2, "seconds": 4.5, "history": history}}
    (root / "model" / "Format-Serving" / "shelfmark.json").write_text(json.dumps(facts))
    found: dict[str, Any] = {
        "examples": (root / "examples", counts.to_properties()),
        "quarantine": (root / "quarantine", {}),
        "taxonomy": (root / "taxonomy", {}),
        "model": (root / "model", {}),
        "evaluation": (root / "evaluation", {}),
        "blessing": (root / "blessing", {"blessed": 1}),
        "metrics": (root / "metrics", metrics(0.7, 0.1)),
        "pushed_model": (root / "pushed_model", {"pushed": 1, "pushed_destination": str(folder.pushed / "17")}),
        "predictions": (root / "predictions", {"products": 100}),
        **changed,
    }
    return {key: value for key, value in found.items() if value is not None}


def kept(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs as this version writes them; ``metrics`` and indexes above are as an earlier one did."""
    found = dict(outputs)
    if isinstance(outputs.get("metrics"), tuple):
        place, given = outputs["metrics"]
        found["metrics"] = (place, {name: value for name, value in given.items() if isinstance(value, float)})
        found["metrics_record"] = (place, {"figures": pack_figures(figures_of(given, None))})
    if "similarity_index" in outputs:
        place, given = outputs["similarity_index"]
        quality, reasons = quality_of("joint", given, None)
        short = {name: value for name, value in given.items() if "partition/" not in name}
        del short["joint/global"], short["joint/reasons"]
        found["similarity_index"] = (place, short)
        found["index_record"] = (place, {"quality/joint": pack({"quality": quality, "reasons": reasons})})
    return found


def told(loaded: LoadedWorkflow, folder: RunFolder, run: str) -> tuple[str, Path | None]:
    """What the console shows of a run, and the report."""
    steps = [StepResult("ProductExampleGen", "done", 4.0), StepResult("Trainer", "cached", 0.1)]
    result = RunResult(run, folder, folder.logs / f"{run}.log", steps)
    stream = io.StringIO()
    path = summarise(loaded, result, Console(file=stream, highlight=False, markup=False, emoji=False))
    return stream.getvalue(), path


def line(text: str, beginning: str) -> str:
    return next(" ".join(row.split()) for row in text.splitlines() if row.strip().startswith(beginning))


def test_a_first_run_says_what_it_read_measured_and_where_it_lies(loaded, folder, recorder) -> None:
    recorder.run(FIRST, outputs(folder, FIRST))
    text, path = told(loaded, folder, FIRST)
    assert line(text, "products") == "products 100 of 3 files: train 60, test 40"
    assert line(text, "quarantine") == "quarantine 5 bad records (4.8%): no_id 4, broken_json 1"
    assert line(text, "leaks") == (
        "leaks 2 titles (variants count as one) stand in more than one of the feed's own splits"
    )
    assert line(text, "labels exclusive").endswith(
        "random 24, margin 9; 5 of products that no feed has: 'p7', 'p8', ...; "
        "models labelled 3 products, never measured on"
    )
    assert line(text, "rules") == "rules 7 rules reach 40 products (40.0%)"
    assert "exclusive, on 24 labelled test products, the first run with metrics" in text
    assert line(text, "accuracy") == "accuracy 0.700 0.600 - 0.800"
    assert "rule_based not measured" in " ".join(text.split())
    assert line(text, "model blessed") == "model blessed: the model holds against the thresholds, and is pushed"
    assert line(text, "best") == "best F1 0.90 3 products Shoes > Boots"
    assert line(text, "worst") == "worst F1 0.05 6 products Hats"
    assert line(text, "pushed model").endswith(str(folder.pushed / "17"))
    assert path is not None and path.read_bytes() == (folder.reports / "latest.html").read_bytes()
    assert str(path) in text and str(folder.metadata) in text and "could not be" not in text


def test_a_change_within_the_interval_is_not_sold_as_one(loaded, folder, recorder) -> None:
    recorder.run(FIRST, outputs(folder, FIRST, metrics=(folder.root, metrics(0.70, 0.1))))
    recorder.run(SECOND, outputs(folder, SECOND, metrics=(folder.root, metrics(0.75, 0.1))))
    recorder.run(THIRD, outputs(folder, THIRD, metrics=(folder.root, metrics(0.40, 0.1))))
    text, _ = told(loaded, folder, SECOND)
    assert line(text, "accuracy") == "accuracy 0.750 0.650 - 0.850 +0.050, within the interval"
    assert line(text, "macro F1").endswith("0.500 unchanged")
    assert f"change since {FIRST}" in text
    text, path = told(loaded, folder, THIRD)
    assert line(text, "accuracy") == "accuracy 0.400 0.300 - 0.500 -0.350"
    assert path is not None and "polyline" in path.read_text("utf-8")


def test_metrics_from_the_cache_are_unchanged(loaded, folder, recorder) -> None:
    ids = recorder.run(FIRST, outputs(folder, FIRST))
    recorder.run(SECOND, dict(ids))
    text, _ = told(loaded, folder, SECOND)
    assert line(text, "accuracy").endswith("unchanged")
    assert f"taken from the cache, as in {FIRST}" in text


def test_the_history_is_of_the_last_runs_in_their_order(loaded, folder, recorder) -> None:
    names = [f"2031-06-{day:02d}T10-00-00.000" for day in range(1, 28)]
    for number, name in enumerate(names):
        # Some runs stop before they measure, one takes its metrics from the cache.
        figures = {"exclusive/accuracy": 0.5 + number / 100}
        recorder.run(name, {} if number in (20, 25) else {"metrics": (folder.root, figures)})
    recorder.run(THIRD, outputs(folder, THIRD))
    runs = Runs.of(loaded)
    missing: list[str] = []
    report = collect(loaded, RunResult(THIRD, folder, folder.logs / "x.log"), runs, missing)
    expected = [*[name for number, name in enumerate(names) if number not in (20, 25)][-19:], THIRD]
    history = report.objectives[0].history
    assert [point.run for point in history] == expected and report.previous == names[26] and missing == []
    assert [point.values["accuracy"] for point in history][-2:] == [0.76, 0.7]


def test_runs_of_another_workflow_in_the_same_database_do_not_count(loaded, folder, recorder) -> None:
    other = Recorder(Path(folder.metadata), "other")
    other.run(FIRST, {"metrics": (folder.root, metrics(0.1, 0.05))})
    recorder.run(SECOND, outputs(folder, SECOND))
    text, _ = told(loaded, folder, SECOND)
    assert "the first run with metrics" in text


@pytest.mark.parametrize("lost", ["taxonomy", "predictions", "quarantine", "model"])
def test_a_part_that_is_gone_is_said_and_costs_nothing_else(loaded, folder, recorder, lost: str) -> None:
    recorder.run(FIRST, outputs(folder, FIRST))
    shutil.rmtree(folder.root / FIRST / lost)
    text, path = told(loaded, folder, FIRST)
    assert "Traceback" not in text and path is not None
    assert line(text, "accuracy") == "accuracy 0.700 0.600 - 0.800"
    if lost in ("taxonomy", "predictions"):
        assert f"could not be read or written: the {lost}" in text


def test_broken_files_are_said_in_words(loaded, folder, recorder) -> None:
    recorder.run(FIRST, outputs(folder, FIRST))
    root = folder.root / FIRST
    next(root.glob("predictions/Split-test/*")).write_bytes(b"no parquet")
    (root / "model" / "Format-Serving" / "shelfmark.json").write_text("{")
    (root / "quarantine" / "quarantine-00000-of-00001.jsonl.gz").write_bytes(b"no gzip")
    text, path = told(loaded, folder, FIRST)
    for what in ("the predictions", "what training did", "the quarantine"):
        assert f"could not be read or written: {what}" in text
    assert path is not None and "Traceback" not in text


def test_a_run_without_a_model_or_metrics_still_has_a_summary(loaded, folder, recorder) -> None:
    keys = ("model", "evaluation", "blessing", "metrics", "pushed_model", "predictions")
    recorder.run(FIRST, outputs(folder, FIRST, **dict.fromkeys(keys)))
    text, path = told(loaded, folder, FIRST)
    assert "exclusive not measured" in " ".join(text.split())
    assert "model unknown: this run evaluated no model" in text
    assert path is not None


def test_without_ml_metadata_the_summary_says_so(loaded, folder) -> None:
    text, path = told(loaded, folder, FIRST)
    assert "could not be read or written: ML Metadata" in text and path is not None


def test_why_a_model_is_not_blessed(loaded, folder, recorder) -> None:
    figures = metrics(0.7, 0.1)
    figures["failed/exclusive"] = json.dumps([{"path": "Hats", "f1": 0.05, "bound": 0.5}])
    recorder.run(FIRST, outputs(folder, FIRST, blessing=(folder.root, {"blessed": 0}), metrics=(folder.root, figures)))
    _validations(folder.root / FIRST / "evaluation")
    text, path = told(loaded, folder, FIRST)
    assert "model not blessed: so the model is not pushed" in text
    assert "exclusive: accuracy is 0.7000, 0.9 is needed" in text
    assert "exclusive: accuracy fell by 0.0500, 0.01 is allowed" in text
    assert "exclusive: 3 categories are below their bound" in text
    assert "exclusive: category 'Hats' is below F1 0.5" in text
    assert path is not None and "Hats: F1 0.050, needed 0.5" in path.read_text("utf-8")


def test_control_characters_are_made_visible(loaded, folder, recorder) -> None:
    figures = metrics(0.7, 0.1)
    figures["failed/exclusive"] = json.dumps([{"path": "\x1b[31mHats", "f1": 0.1, "bound": 0.5}])
    recorder.run(FIRST, outputs(folder, FIRST, blessing=(folder.root, {"blessed": 0}), metrics=(folder.root, figures)))
    text, _ = told(loaded, folder, FIRST)
    assert "\x1b" not in text and "\\x1b[31mHats" in text


def test_without_thresholds_the_model_is_not_checked(loaded, folder, recorder) -> None:
    recorder.run(FIRST, outputs(folder, FIRST, blessing=(folder.root, {})))
    assert "model not checked: the workflow has no evaluation.thresholds" in told(loaded, folder, FIRST)[0]


def _validations(folder: Path) -> None:
    import tensorflow as tf
    from tensorflow_model_analysis.proto import validation_result_pb2

    result = validation_result_pb2.ValidationResult()
    part = result.metric_validations_per_slice.add()
    for name, value in (("accuracy", 0.7), ("categories_failed", 3.0)):
        failure = part.failures.add()
        failure.metric_key.name, failure.metric_key.output_name = name, "exclusive"
        failure.metric_value.double_value.value = value
        failure.metric_threshold.value_threshold.lower_bound.value = 0.9
    failure = part.failures.add()
    failure.metric_key.name, failure.metric_key.output_name = "accuracy", "exclusive"
    failure.metric_value.double_value.value = -0.05
    failure.metric_threshold.change_threshold.absolute.value = -0.01
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "validations.tfrecord-00000-of-00001")) as writer:
        writer.write(result.SerializeToString())


def test_the_latest_run_is_the_newest_one_that_has_what_is_asked_for(loaded, folder, recorder) -> None:
    recorder.run(FIRST, outputs(folder, FIRST))
    recorder.run(SECOND, outputs(folder, SECOND, predictions=None))
    runs = Runs.of(loaded)
    assert runs.ids == [FIRST, SECOND]
    assert runs.find().id == SECOND and runs.find("latest", "predictions").id == FIRST
    assert runs.find(SECOND).taxonomy() == taxonomy()
    with pytest.raises(InputError, match=f"ended before Predictor.*|{SECOND}"):
        runs.find(SECOND, "predictions")
    with pytest.raises(InputError, match=f"did you mean '{SECOND}'"):
        runs.find("2031-05-02")
    with pytest.raises(InputError, match="no run of 'shop' with statistics yet"):
        runs.find("latest", "statistics")
    shutil.rmtree(folder.root / FIRST / "predictions")
    with pytest.raises(InputError, match="the folder is gone"):
        runs.find(FIRST).folder("predictions")


def test_an_index_is_reported_with_its_partitions(loaded, folder, recorder) -> None:
    def part(name: str, products: int, recall: float) -> str:
        figures = {"name": name, "products": products, "method": "scann", "k": 100, "queries": 50, "recall": recall}
        return json.dumps({**figures, "milliseconds": 0.25, "queries_per_second": 12345.0})

    boots = taxonomy().find("Shoes > Boots").id
    facts = {
        "indexes": json.dumps(["joint"]), "blessed": 0, "joint/near_duplicates": 17,
        "joint/reasons": json.dumps(["<b>boots</b>: recall@100 0.812, needed 0.9"]),
        "joint/global": part("global", 100, 0.961), f"joint/partition/{boots}": part(boots, 60, 0.812),
        "joint/partition/": part("", 40, 0.99),
    }  # fmt: skip
    pushed = {"pushed": 1, "pushed_destination": str(folder.root / "indexes" / "17")}
    added = {"similarity_index": (folder.root / "i", facts), "pushed_index": (folder.root / "p", pushed)}
    recorder.run(FIRST, outputs(folder, FIRST, **added))
    text, path = told(loaded, folder, FIRST)
    said = line(text, "similarity joint")
    assert "100 products in 2 partitions, recall@100 0.961 (lowest 0.812), 0.25 ms a query" in said
    assert "17 products with near-duplicates" in said and "not blessed" in " ".join(text.split())
    assert line(text, "pushed index").endswith("17")
    page = path.read_text()
    assert "Shoes &gt; Boots" in page and "0.812" in page and "no category" in page
    assert "<b>boots" not in page and "&lt;b&gt;boots" in page


def test_it_ends_with_the_commands_to_come(loaded, folder, recorder) -> None:
    batch = (folder.root / "batch", {"exclusive/size": 10, "rule_based/size": 0})
    recorder.run(FIRST, outputs(folder, FIRST, labelling_batch=batch))
    text, _ = told(loaded, folder, FIRST)
    label, _, export, _ = [row.strip() for row in text.splitlines()[-4:]]
    assert shlex.split(label) == ["shelfmark", "label", *loaded.arguments]
    named = shlex.split(export)
    assert named[:2] == ["shelfmark", "predictions"] and named[named.index("--workflow") + 1] == loaded.arguments[0]
    # What no blessed model said is not called published.
    assert "--published" not in named and "not blessed" in text.splitlines()[-1]
    # Where nothing is asked, nobody is sent to an empty page.
    nothing = (folder.root / "batch", {"exclusive/size": 0})
    recorder.run(SECOND, outputs(folder, SECOND, labelling_batch=nothing))
    text, _ = told(loaded, folder, SECOND)
    assert "shelfmark label" not in text and "shelfmark predictions" in text


@pytest.mark.parametrize("publishing", [False, True], ids=["own", "published"])
@pytest.mark.parametrize("known", ["all", "some", "none by names", "none"])
def test_a_table_is_offered_only_if_it_would_have_a_category(
    loaded, folder, recorder, tmp_path: Path, known: str, publishing: bool
) -> None:
    """The oracle is the file that the offered command writes."""
    classes = len(taxonomy().exclusive)
    guesses = {"all": [], "some": list(range(classes - 1)), "none by names": list(range(classes)), "none": []}[known]
    changed = {"labelling_batch": (folder.root / "batch", {"exclusive/size": 10})}
    if publishing:
        # Its model learnt from rules alone, say: it may be published, and knows nothing of the exclusive categories.
        changed["published_predictions"] = (folder.root / FIRST / "predictions", {"products": 100})
    given = outputs(folder, FIRST, **changed)
    shutil.rmtree(folder.root / FIRST / "predictions")
    untaught = ["exclusive"] if known == "none" else []
    write_predictions(
        folder.root / FIRST / "predictions", {"train": 60, "test": 40}, guessed={"exclusive": guesses},
        untaught=untaught,
    )  # fmt: skip
    recorder.run(FIRST, given)
    written = tmp_path / "all.csv"
    export_predictions(loaded, str(written), published=publishing)
    with written.open(newline="", encoding="utf-8") as stream:
        has_category = any(row["exclusive/category"] for row in csv.DictReader(stream))
    assert has_category == (known in ("all", "some"))
    text, _ = told(loaded, folder, FIRST)
    offered = [shlex.split(row) for row in text.splitlines() if row.strip().startswith("shelfmark ")]
    assert offered[0][:2] == ["shelfmark", "label"]
    assert [command[1] for command in offered[1:]] == ([] if known == "none" else ["predictions"])
    assert any("--output" in command for command in offered) == has_category
    assert any("--published" in command for command in offered) == (has_category and publishing)


def test_imitation_of_the_rules_is_not_called_accuracy(loaded, folder, recorder) -> None:
    given = {**metrics(0.7, 0.1), "rule_based/example_count": 12.0, "rule_based/micro_f1": 0.97}
    recorder.run(FIRST, outputs(folder, FIRST, metrics=(folder.root / "m", given)))
    text, path = told(loaded, folder, FIRST)
    said = "12 test products that rules reach: how well it imitates the rules, no accuracy"
    assert f"rule_based, on {said}" in text
    assert path is not None and said in path.read_text() and "97.0%" not in path.read_text()
