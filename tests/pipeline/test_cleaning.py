"""What a retention lets go, over made-up histories in ML Metadata."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_metadata.proto import metadata_store_pb2 as pb
from rich.console import Console

from modules.errors import InputError
from modules.settings.retention import RetentionSettings
from modules.similarity.daily import DAILY_FILE
from pipeline.clean import clean_folder
from pipeline.cleaning import Retention, removable, remove
from pipeline.run_folder import RunFolder
from pipeline.runs import Runs
from pipeline.workflow_file import load_workflow
from tests.pipeline.history import History, tree


@dataclass(frozen=True)
class Plan:
    """A run: which earlier run's examples and model it takes from the cache (counted back; None: new ones)."""

    examples: int | None
    model: int | None
    blessed: bool
    index: bool
    reaches: int


PLANS = st.builds(
    Plan,
    examples=st.none() | st.integers(1, 3),
    model=st.none() | st.integers(1, 3),
    blessed=st.booleans(),
    index=st.booleans(),
    reaches=st.sampled_from((1, 2, 3, 9, 9, 9)),
)


class Shop:
    """A run folder with runs as planned, beside what must never be touched."""

    def __init__(self, path: Path, plans: list[Plan]):
        self.folder = RunFolder(path / "runs" / "shop")
        self.history = History(self.folder)
        self.examples: list[int] = []
        self.models: list[int] = []
        self.of_model: dict[int, dict[str, int]] = {}
        self.outputs: dict[str, dict[str, int]] = {}
        self.inputs: dict[str, set[int]] = {}
        self.versions: dict[Path, set[str]] = {}
        other = History(self.folder, "other")
        for number, plan in enumerate(plans):
            self._run(f"run-{number}", plan)
            # The same folder, another pipeline of the database.
            other.add(f"theirs-{number}", "Theirs", {"model": {}})
        for name in ("labels.sqlite", "labels/snapshot/labels.jsonl", "checkpoints/1/weights", "reports/latest.html"):
            (self.folder.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder.path / name).write_text(name)

    def _run(self, name: str, plan: Plan) -> None:
        outputs: dict[str, int] = {}
        self.outputs[name], self.inputs[name] = outputs, set()

        def made(component: str, keys: dict[str, Any], *inputs: int) -> None:
            self.inputs[name] |= set(inputs)
            outputs.update(self.history.add(name, component, keys, inputs)[1])

        def reused(found: list[int], back: int | None) -> Any:
            return found[-back] if back is not None and back <= len(found) else {}

        examples = reused(self.examples, plan.examples)
        made("ExampleGen", {"examples": examples})
        self.examples.append(outputs["examples"])
        if plan.reaches < 2:
            return
        before = self.blessed()
        model = reused(self.models, plan.model)
        made("Trainer", {"model": model}, outputs["examples"])
        model = outputs["model"]
        self.models.append(model)
        if plan.reaches < 3:
            return
        facts = {"blessed": int(plan.blessed), "current_model_id": model}
        made("Evaluator", {"evaluation": {}, "blessing": facts}, model, *([before] if before else []))
        made("ClassMetrics", {"metrics": {}}, outputs["evaluation"])
        known = self.of_model.setdefault(model, {})
        made("Predictor", {"predictions": known.get("predictions", {})}, model)
        known["predictions"] = outputs["predictions"]
        products = 5 if plan.blessed or before else 0
        made("PublishedPredictor", {"published_predictions": {"products": products}}, model)
        for key, wanted, place in (
            ("pushed_model", plan.blessed, self.folder.pushed),
            ("pushed_index", plan.blessed and plan.index, self.folder.pushed_indexes),
        ):
            if key == "pushed_index" and plan.index:
                made("ScannIndex", {"similarity_index": known.get("similarity_index", {})}, model)
                known["similarity_index"] = outputs["similarity_index"]
            pushed: dict[str, Any] = {"pushed": int(wanted)}
            if wanted:
                version = place / str(1_700_000_000 + len(self.versions))
                (version / "variables").mkdir(parents=True)
                (version / "saved_model.pb").write_text(name)
                self.versions[version] = {name}
                pushed["pushed_destination"] = str(version)
            made(key, {key: pushed}, model)

    def blessed(self) -> int | None:
        """The last blessed model as TFX's strategy finds it: of the blessed ones the highest id."""
        live = [one for one in self.history.store.get_artifacts() if one.state == pb.Artifact.LIVE]
        blessed = {
            one.custom_properties["current_model_id"].int_value
            for one in live
            if one.uri.split("/")[-2] == "blessing" and one.custom_properties["blessed"].int_value == 1
        }
        models = [one.id for one in live if one.uri.split("/")[-3:-1] == ["Trainer", "model"]]
        return max((one for one in models if one in blessed), default=None)

    def place(self, artifact: int) -> Path:
        return Path(self.history.store.get_artifacts_by_id([artifact])[0].uri)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    plans=st.lists(PLANS, min_size=1, max_size=6),
    runs=st.none() | st.integers(1, 3),
    younger_than=st.none() | st.integers(0, 5),
)
@pytest.mark.slow
def test_what_somebody_needs_never_goes(plans: list[Plan], runs: int | None, younger_than: int | None) -> None:
    with tempfile.TemporaryDirectory() as path:
        shop = Shop(Path(path), plans)
        times = shop.history.milliseconds()
        order = sorted(times, key=lambda name: (times[name], name))
        kept = set(order[-runs:]) if runs else set()
        now, seconds = max(times.values()) / 1000 + 100, None
        if younger_than is not None and younger_than < len(order):
            bound = times[order[younger_than]] / 1000
            seconds = now - bound
            kept |= {name for name in order if times[name] / 1000 > bound + 0.0005}
        blessed, files = shop.blessed(), tree(shop.folder.path)
        read = Runs(shop.history.store, "shop")
        keys = {key for its in shop.outputs.values() for key in its}
        newest = {key: read.find(having=key).outputs[key].id for key in keys}
        history = [(run, one.id) for run, one in read.until(read.ids[-1], "metrics", 20)]

        found = removable(shop.folder, "shop", Retention(runs, seconds), now)
        assert tree(shop.folder.path) == files and shop.blessed() == blessed
        remove(shop.folder, found)

        after = tree(shop.folder.path)
        gone = {str(one.path.relative_to(shop.folder.path)) for one in found}
        assert files.keys() - after.keys() == {
            name for name in files if any(name.startswith(f"{one}/") for one in gone)
        }
        assert after.items() <= files.items()
        # Labels, checkpoints, reports, and what another pipeline has here.
        others = ("labels", "checkpoints/", "reports/", "pipeline/Theirs/")
        assert not any(name.startswith(others) for name in files.keys() - after.keys())
        # The blessed model is found as before, with its files, its index and what it was published with.
        assert shop.blessed() == blessed
        if blessed is not None:
            assert shop.place(blessed).is_dir()
            for made in shop.of_model.get(blessed, {}).values():
                assert shop.place(made).is_dir()
            assert any(str(version.name) in str(after) for version in shop.versions)
        # What commands and servers look up.
        read = Runs(shop.history.store, "shop")
        assert {key: read.find(having=key).outputs[key].id for key in keys} == newest
        assert all(read.find(having=key).folder(key).is_dir() for key in keys)
        assert [(run, one.id) for run, one in read.until(read.ids[-1], "metrics", 20)] == history
        for place in (shop.folder.pushed, shop.folder.pushed_indexes):
            versions = [one for one in shop.versions if one.parent == place]
            assert not versions or max(versions, key=lambda one: int(one.name)).is_dir()
        # Runs that are kept have all that they made, reused and read.
        for name in kept:
            for artifact in {*shop.outputs[name].values(), *shop.inputs[name]}:
                assert shop.place(artifact).is_dir()
            assert all(version.is_dir() for version, its in shop.versions.items() if name in its)
        assert removable(shop.folder, "shop", Retention(runs, seconds), now) == []


def simple(path: Path, count: int = 4) -> Shop:
    """Runs that make everything anew; the last two are not blessed."""
    return Shop(path, [Plan(None, None, number < count - 2, True, 9) for number in range(count)])


def test_the_base_of_the_newest_layer_stays(tmp_path: Path) -> None:
    shop = simple(tmp_path)

    def indexes() -> set[Path]:
        several = removable(shop.folder, "shop", Retention(1), 0.0)
        return {obsolete.path for obsolete in several if obsolete.what == "pushed index"}

    base = min(indexes())
    layer = shop.folder.pushed_indexes / "9999999999"
    layer.mkdir()
    (layer / DAILY_FILE).write_text(json.dumps({"run": "run-1", "model": "m", "base": base.name}), "utf-8")
    assert base not in indexes() and layer not in indexes()


def test_old_runs_go(tmp_path: Path) -> None:
    shop = simple(tmp_path)
    found = {(one.run, one.what) for one in removable(shop.folder, "shop", Retention(1), 0.0)}
    # Of the first run all but its figures; of the third, which is not blessed, too; the second has the blessed model.
    parts = {
        "ExampleGen examples", "Trainer model", "Evaluator evaluation", "Predictor predictions",
        "PublishedPredictor published_predictions", "pushed_model pushed_model", "pushed_index pushed_index",
        "ScannIndex similarity_index",
    }  # fmt: skip
    # Its model stays too: the blessed one was compared with it.
    first = {("run-0", part) for part in {*parts, "pushed model", "pushed index"} - {"Trainer model"}}
    assert found == first | {("run-2", part) for part in parts}


def test_what_is_gone_is_said(tmp_path: Path) -> None:
    shop = simple(tmp_path)
    remove(shop.folder, removable(shop.folder, "shop", Retention(1), 0.0))
    runs = Runs(shop.history.store, "shop", shop.folder.checksums())
    for key in ("examples", "predictions", "evaluation"):
        with pytest.raises(InputError, match="cleaned away"):
            runs.find("run-0").folder(key)
        with pytest.raises(InputError, match="cleaned away"):
            runs.find("run-0", key)
    assert runs.find("run-0").folder("metrics").is_dir()


def test_a_removal_that_was_killed_goes_on(tmp_path: Path) -> None:
    """ML Metadata is told first, so that no cache gives out what is half deleted."""
    shop = simple(tmp_path)
    found = removable(shop.folder, "shop", Retention(1), 0.0)
    gone = {one.artifact for one in found if one.artifact is not None}
    artifacts = [one for one in shop.history.store.get_artifacts() if one.id in gone]
    for one in artifacts:
        one.state = pb.Artifact.DELETED
    shop.history.store.put_artifacts(artifacts)
    again = removable(shop.folder, "shop", Retention(1), 0.0)
    assert {one.path for one in again} == {one.path for one in found}
    remove(shop.folder, again)
    assert removable(shop.folder, "shop", Retention(1), 0.0) == []


def test_dry_run_shows_what_the_real_one_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = simple(tmp_path)
    file = tmp_path / "shop.yaml"
    file.write_text(f"name: shop\nrunners: {{local: {{folder: {tmp_path / 'runs'}, retention: {{runs: 1}}}}}}\n")
    loaded = load_workflow(file)
    files = tree(shop.folder.path)
    said = []
    for dry_run in (True, False):
        out = StringIO()
        clean_folder(loaded, RetentionSettings(runs=1), Console(file=out, width=300), dry_run=dry_run)
        said.append(out.getvalue())
        if dry_run:
            assert tree(shop.folder.path) == files
    assert said[0].replace("would be deleted", "deleted") == said[1]
    assert "17 folders of older runs deleted" in said[1]
    assert len(files.keys() - tree(shop.folder.path).keys()) == 17
    out = StringIO()
    clean_folder(loaded, RetentionSettings(runs=1), Console(file=out, width=300), short=True)
    assert out.getvalue() == ""


@pytest.mark.parametrize("age", ["", "d", "3", "3m", "-3d", "3 d", "３d", "1234567d", "0x3d", "d3"])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(InputError, match="--older-than"):
        RetentionSettings.given(None, age)


def test_ages_in_seconds() -> None:
    hours = [RetentionSettings.given(None, age).seconds() for age in ("12h", "30d", "8w")]
    assert hours == [12 * 3600, 30 * 24 * 3600, 8 * 7 * 24 * 3600]
