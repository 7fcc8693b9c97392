"""A workflow's daily predictions: today's files, the run's way of reading them, and the published model."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from modules.errors import InputError, Problem, Problems, did_you_mean
from modules.object_stores import is_remote
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from modules.predictions.daily.passes import DailyCounts
    from modules.predictions.daily.state import DailyState


def with_files(loaded: LoadedWorkflow, files: Sequence[str]) -> LoadedWorkflow:
    """The workflow with other files of its feed, named as a command line does; without any as it is.

    Args:
      files: ``RETAILER=FILE`` where the workflow has several feeds, with at least one file for each of them.

    Raises:
      InputError: a file is not there, or the feeds are not named so.
    """
    if not files:
        return loaded
    workflow = loaded.workflow
    by_retailer = _by_retailer([own.retailer for own in workflow.feeds], files) if workflow.feeds else {"": files}
    patterns = {retailer: _patterns(own) for retailer, own in by_retailer.items()}
    own_files = {} if workflow.feeds else {"files": patterns[""], "source": None}
    feed = workflow.feed.model_copy(update={"outside": True, **own_files})
    feeds = tuple(own.model_copy(update={"files": patterns[own.retailer], "source": None}) for own in workflow.feeds)
    return dataclasses.replace(loaded, workflow=workflow.model_copy(update={"feed": feed, "feeds": feeds}))


def _by_retailer(retailers: Sequence[str], files: Sequence[str]) -> dict[str, list[str]]:
    """Retailer to its files, of arguments ``RETAILER=FILE``."""
    named: dict[str, list[str]] = {retailer: [] for retailer in retailers}
    problems = Problems()
    for text in files:
        retailer, equals, file = text.partition("=")
        if not equals or retailer not in named:
            expected = f"expected RETAILER=FILE, where RETAILER is one of: {', '.join(retailers)}"
            problems.add(Problem("", expected, key="FEED", value=text, hint=did_you_mean(retailer, retailers)))
        else:
            named[retailer].append(file)
    missing = [retailer for retailer, own in named.items() if not own]
    if missing and not len(problems):
        expected = f"expected a file of each feed; there is none of: {', '.join(missing)}"
        hint = "a feed that is left out would have lost all its products; name its last file"
        problems.add(Problem("", expected, key="FEED", value=" ".join(files), hint=hint))
    if len(problems):
        raise InputError(problems)
    return named


def _patterns(files: Sequence[str]) -> tuple[str, ...]:
    """Patterns that match these files alone, wherever the workflow's feed is."""
    missing = [file for file in files if not is_remote(file) and not os.path.isfile(file)]
    if missing:
        raise InputError(Problem(file, "expected a file of the feed; there is none", key="FEED") for file in missing)
    return tuple(file if is_remote(file) else glob.escape(os.path.abspath(file)) for file in files)


def predict(
    loaded: LoadedWorkflow, *, many_gone: bool = False, then: Callable[[DailyState], object] | None = None
) -> DailyCounts:
    """Predicts what is new or has changed in the workflow's feeds; see
    :func:`modules.predictions.daily.passes.predict_daily`.

    Raises:
      InputError: no model was blessed yet, or it is gone; and as there.
    """
    from modules.feeds.plan import ExampleSettings
    from pipeline.inputs import example_inputs, training_inputs
    from pipeline.results import published_model
    from pipeline.runs import PUBLISHED

    run, served = published_model(loaded)
    from modules.predictions.daily.model import DailyModel
    from modules.predictions.daily.passes import predict_daily

    folder = RunFolder.of(loaded.workflow)
    located, _ = training_inputs(loaded, str(folder.encodings))
    settings_json, feed_folder = example_inputs(loaded, located)
    settings = ExampleSettings.model_validate_json(settings_json)
    model = DailyModel.of(served, run.folder(PUBLISHED), settings, feed_folder)
    return predict_daily(folder.daily, settings, feed_folder, model, run.id, many_gone=many_gone, then=then)
