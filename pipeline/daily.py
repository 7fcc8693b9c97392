"""A workflow's daily predictions: today's files, the run's way of reading them, and the published model."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modules.errors import InputError, Problem
from modules.object_stores import is_remote
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from modules.predictions.daily.passes import DailyCounts


def with_files(loaded: LoadedWorkflow, files: Sequence[str]) -> LoadedWorkflow:
    """The workflow with other files of its feed, named as a command line does; without any as it is.

    Raises:
      InputError: a file is not there, or the workflow has several feeds.
    """
    if not files:
        return loaded
    if loaded.workflow.feeds:
        expected = "expected no file: this workflow has several feeds, and each knows its own files"
        hint = "put today's files where `feeds` says, and leave out FEED"
        raise InputError(Problem("", expected, key="FEED", value=files[0], hint=hint))
    missing = [file for file in files if not is_remote(file) and not os.path.isfile(file)]
    if missing:
        raise InputError(Problem(file, "expected a file of the feed; there is none", key="FEED") for file in missing)
    patterns = tuple(file if is_remote(file) else glob.escape(os.path.abspath(file)) for file in files)
    feed = loaded.workflow.feed.model_copy(update={"files": patterns, "outside": True, "source": None})
    return dataclasses.replace(loaded, workflow=loaded.workflow.model_copy(update={"feed": feed}))


def predict(loaded: LoadedWorkflow, *, many_gone: bool = False) -> DailyCounts:
    """Predicts what is new or has changed in the workflow's feeds; see
    :func:`modules.predictions.daily.passes.predict_daily`.

    Raises:
      InputError: no model was blessed yet, or it is gone; and as there.
    """
    from modules.feeds.plan import ExampleSettings
    from pipeline.inputs import example_inputs, training_inputs
    from pipeline.results import PUBLISHED, published_model

    run, served = published_model(loaded)
    from modules.predictions.daily.model import DailyModel
    from modules.predictions.daily.passes import predict_daily

    folder = RunFolder.of(loaded.workflow)
    located, _ = training_inputs(loaded, str(folder.encodings))
    settings_json, feed_folder = example_inputs(loaded, located)
    settings = ExampleSettings.model_validate_json(settings_json)
    model = DailyModel.of(served, run.folder(PUBLISHED), settings, feed_folder)
    return predict_daily(folder.daily, settings, feed_folder, model, run.id, many_gone=many_gone)
