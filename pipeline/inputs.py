"""What a pipeline is compiled with that lies outside the workflow file: where the feed is, and the taxonomy."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from modules.errors import InputError
from modules.features import Feature, encodings_of
from modules.feeds.files import checksum_of
from modules.feeds.ids import LabelIds
from modules.feeds.plan import ExampleSettings, load_taxonomy, truths_of
from modules.settings.encodings import Encoding
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.taxonomy.merging import MergedTrees, merge_trees
from pipeline.run_folder import RunFolder
from pipeline.sources import snapshot_files
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
    # ML Metadata has no use for a source's address either, and the run reads the snapshot alone.
    return settings.model_copy(
        update={
            "feed": feed.model_copy(update={"source": None}),
            "feeds": tuple(own.model_copy(update={"source": None}) for own in settings.feeds),
            "snapshots": snapshot_files(loaded),
            "taxonomy": settings.taxonomy.model_copy(update={"file": named(settings.taxonomy.file)}),
            "rules": settings.rules.model_copy(update={"file": named(settings.rules.file)}),
            "objectives": {
                name: objective.located(lambda file: named(file) or file)
                for name, objective in settings.objectives.items()
            },
            "labels": settings.labels.model_copy(update={"files": tuple(files)}),
        }
    )


def example_inputs(loaded: LoadedWorkflow, located: Workflow) -> tuple[str, str]:
    """ProductExampleGen's settings and the feed's folder.

    Args:
      located: the workflow as :func:`training_inputs` gives it.
    """
    own = encodings_of(located.features)
    update: dict[str, object] = {"encodings": {name: _in_feed(loaded, encoding) for name, encoding in own.items()}}
    if own:
        update["encoding_cache"] = located.encodings
    return example_settings(loaded).model_copy(update=update).model_dump_json(), str(loaded.folder)


def _in_feed(loaded: LoadedWorkflow, encoding: Encoding) -> Encoding:
    """An encoder in the feed's folder is named as the feed's files are: pods may see that folder elsewhere."""
    path = Path(encoding.encoder)
    if not path.is_relative_to(loaded.folder):
        return encoding
    return encoding.model_copy(update={"encoder": path.relative_to(loaded.folder).as_posix()})


def sampling_labels(loaded: LoadedWorkflow) -> str:
    """The label files and the queue that ActiveSampler looks at, and the retailers whose names start ids."""
    queue = None if loaded.queued_file is None else str(loaded.queued_file)
    files = list(example_settings(loaded).labels.files)
    retailers = LabelIds.of(loaded.workflow.sources).retailers
    return json.dumps({"folder": str(loaded.folder), "files": files, "queue": queue, "retailers": retailers})


def training_inputs(loaded: LoadedWorkflow, encodings: str | None = None) -> tuple[Workflow, dict[str, str]]:
    """The workflow with full paths of the files that features start from, and a checksum of each by its path.

    Args:
      encodings: the folder where vectors of texts are kept, unless the workflow names one; None: nowhere.

    Raises:
      InputError: an encoder is missing.
    """
    features: dict[str, Feature] = {}
    checksums: dict[str, str] = {}
    for name, feature in loaded.workflow.features.items():
        paths = feature.find_weights(loaded.find)
        features[name] = feature.with_weights(paths)
        checksums |= {str(path): checksum_of(path) for path in paths.values()}
    own = loaded.workflow.encodings
    cache = own.cache or encodings
    if not encodings_of(features) or cache is None:
        kept = own.model_copy(update={"cache": None})
    else:
        kept = own.model_copy(update={"cache": os.path.abspath(cache)})
    return loaded.workflow.model_copy(update={"features": features, "encodings": kept}), checksums


def in_memory(loaded: LoadedWorkflow) -> Workflow:
    """The workflow as an experiment over products in memory needs it: with the full paths of what its features start
    from, and the cache of texts' vectors that its runs have.

    Raises:
      InputError: an encoder is missing.
    """
    return training_inputs(loaded, str(RunFolder.of(loaded.workflow).encodings))[0]


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
