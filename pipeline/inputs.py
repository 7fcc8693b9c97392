"""What a pipeline is compiled with that lies outside the workflow file: where the feed is, and the taxonomy."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

from modules.errors import InputError
from modules.features import Feature
from modules.feeds.ids import LabelIds
from modules.feeds.plan import ExampleSettings, load_taxonomy, truths_of
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.taxonomy.merging import MergedTrees, merge_trees
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import LoadedWorkflow


def example_settings(loaded: LoadedWorkflow) -> ExampleSettings:
    """The part of the workflow that decides the examples; files outside the base folder by their full paths."""
    settings = ExampleSettings.of(loaded.workflow)

    def named(name: str | None) -> str | None:
        if name is None or (loaded.folder / name).is_file():
            return name
        return str(loaded.find(name))

    files = [named(name) or name for name in settings.labels.files]
    if loaded.snapshot is not None:
        files.append(str(loaded.label_files[-1]))
    feed = settings.feed
    if feed.images is not None:
        cache = feed.images.cache or RunFolder.of(loaded.workflow).images
        images = feed.images.model_copy(update={"cache": os.path.abspath(cache)})
        feed = feed.model_copy(update={"images": images})
    return settings.model_copy(
        update={
            "feed": feed,
            "taxonomy": settings.taxonomy.model_copy(update={"file": named(settings.taxonomy.file)}),
            "rules": settings.rules.model_copy(update={"file": named(settings.rules.file)}),
            "objectives": {
                name: objective.located(lambda file: named(file) or file)
                for name, objective in settings.objectives.items()
            },
            "labels": settings.labels.model_copy(update={"files": tuple(files)}),
        }
    )


def example_inputs(loaded: LoadedWorkflow) -> tuple[str, str]:
    """ProductExampleGen's settings and the feed's folder."""
    return example_settings(loaded).model_dump_json(), str(loaded.folder)


def sampling_labels(loaded: LoadedWorkflow) -> str:
    """The label files and the queue that ActiveSampler looks at, and the retailers whose names start ids."""
    queue = None if loaded.queued_file is None else str(loaded.queued_file)
    files = list(example_settings(loaded).labels.files)
    retailers = LabelIds.of(loaded.workflow.sources).retailers
    return json.dumps({"folder": str(loaded.folder), "files": files, "queue": queue, "retailers": retailers})


def training_inputs(loaded: LoadedWorkflow) -> tuple[Workflow, dict[str, str]]:
    """The workflow with full paths of the files that features start from, and a checksum of each by its path."""
    features: dict[str, Feature] = {}
    checksums: dict[str, str] = {}
    for name, feature in loaded.workflow.features.items():
        paths = {key: loaded.find(file) for key, file in feature.weight_files().items()}
        features[name] = feature.model_copy(update={key: str(path) for key, path in paths.items()})
        checksums |= {str(path): _checksum(path) for path in paths.values()}
    return loaded.workflow.model_copy(update={"features": features}), checksums


def _checksum(path: Path) -> str:
    """The checksum of a file, or of all files below a folder and their names; of no bytes where neither exists."""
    total = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{file.relative_to(path)}\0".encode())
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def transform_features(workflow: Workflow) -> Workflow:
    """The workflow as Transform needs it: how a picture is embedded changes nothing there, and no cache either."""
    features = {name: feature.for_transform() for name, feature in workflow.features.items()}
    return workflow.model_copy(update={"features": features})


def taxonomy_of(loaded: LoadedWorkflow) -> Taxonomy:
    """The taxonomy that a run will use.

    Raises:
      InputError: the file is wrong, or the feed has no true category to make one of.
    """
    settings = example_settings(loaded)
    folder = str(loaded.folder)
    if not settings.taxonomy.from_truth:
        return load_taxonomy(settings, folder)
    trees = merged_trees(settings, folder)
    if not trees.paths:
        raise InputError(loaded.problem("taxonomy.from_truth", "no product of the feed has a true category"))
    return load_taxonomy(settings, folder, trees.paths)


def merged_trees(settings: ExampleSettings, folder: str) -> MergedTrees:
    """The union of all feeds' true categories; reads every file."""
    sources = settings.sources
    trees: list[Counter[tuple[str, ...]]] = [Counter() for _ in sources]
    for path, number in settings.feed_files(folder):
        trees[number] += truths_of(path, sources[number])
    return merge_trees(trees)
