"""A shop whose runs have published by several models, and what its target has of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from modules.examples import TAXONOMY_FILE
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import LoadedWorkflow, load_workflow
from publishing.log import Publication, publications_of
from tests.modules.reporting.sample import taxonomy, write_predictions
from tests.pipeline.recorded import Recorder
from tests.publishing.shop import apply

Said = dict[str, tuple[str, str, float]]


class Shop:
    """``out``: the folder that is published to. ``said``: run to what it says of its products."""

    def __init__(self, folder: Path):
        self.workflow, self.out = folder / "shop.yaml", folder / "out"
        settings = {
            "name": "shop",
            "feed": {"files": ["feed.jsonl"]},
            "taxonomy": {"file": "taxonomy.json"},
            "rules": {"file": "rules.yaml"},
            "features": {"title": {"kind": "text"}},
            "objectives": {"exclusive": {"kind": "exclusive"}},
            "runners": {"local": {"folder": str(folder / "runs")}},
        }
        self.workflow.write_text(yaml.safe_dump(settings), "utf-8")
        self.folder = RunFolder.of(self.loaded.workflow)
        self.folder.root.mkdir(parents=True)
        self.said: dict[str, Said] = {}
        self.recorder = Recorder(Path(self.folder.metadata), "shop")

    @property
    def loaded(self) -> LoadedWorkflow:
        return load_workflow(self.workflow)

    def run(self, name: str, model: str, seed: int, products: int = 30) -> None:
        """A run that publishes by the model; one that is new is pushed as well."""
        served = self.folder.root / model / "Format-Serving"
        if not served.is_dir():
            served.mkdir(parents=True)
            (served / "saved_model.pb").write_text(model)
            versions = [int(path.name) for path in self.folder.pushed.glob("[0-9]*")]
            shutil.copytree(served, self.folder.pushed / str(max(versions, default=0) + 1))
        published = self.folder.root / name / "published"
        rows = write_predictions(published, {"train": products}, seed)
        taxonomy().write(published / TAXONOMY_FILE)
        properties = {"products": products, "model": str(served.parent)}
        self.recorder.run(name, {"published_predictions": (published, properties)})
        self.said[name] = {row["id"]: _answer(row["exclusive"]) for row in rows}

    def arrived(self) -> Said:
        """What the folder's files say, read as a receiver reads them."""
        state: dict[str, dict[str, Any]] = {}
        for file in sorted(self.out.glob("*.jsonl")):
            apply(state, [json.loads(line) for line in file.read_text("utf-8").splitlines()])
        return {name: _answer(row["objectives"]["exclusive"]) for name, row in state.items()}

    def publications(self) -> list[Publication]:
        """To the folder, oldest first."""
        return publications_of(next(self.folder.publications.glob("*.sqlite")))

    def served(self) -> str:
        """The model that servers load: that of the highest version."""
        newest = max(self.folder.pushed.glob("[0-9]*"), key=lambda path: int(path.name))
        return (newest / "saved_model.pb").read_text()


def _answer(said: dict[str, Any]) -> tuple[str, str, float]:
    return said["category_id"], said["category"], round(said["probability"], 4)
