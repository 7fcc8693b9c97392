"""The last day's feed beside the one that the published model was trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.drift.comparing import Comparison, compare
from modules.drift.profile import COLUMN_COUNTS, FEED_PROFILE, ColumnCounts, FeedProfile
from modules.errors import InputError, Problem
from modules.paths import near
from modules.taxonomy import Taxonomy
from pipeline.results import published_predictions
from pipeline.run_folder import RunFolder
from pipeline.runs import PUBLISHED, Run, Runs
from pipeline.workflow_file import LoadedWorkflow

_LOOKED_BACK = 1000


@dataclass(frozen=True)
class FeedDrift:
    """How the last day's feed differs.

    Attributes:
      run: the one that trained the published model.
      before, after: products of its feed, and of the day's.
      comparisons: with categories by their paths.
    """

    run: str
    before: int
    after: int
    comparisons: Sequence[Comparison]

    @property
    def alarms(self) -> list[Comparison]:
        """What has drifted."""
        return [row for row in self.comparisons if row.drifted]


def feed_drift(loaded: LoadedWorkflow) -> FeedDrift:
    """Compares the daily predictions, and the feed that they are of, with the published model's training feed.

    Raises:
      InputError: no model was blessed yet, no feed was predicted since, or what it would be compared with is gone.
    """
    from modules.drift.building import profile_of
    from modules.predictions.daily.files import DailyFiles

    published = published_predictions(loaded)
    place = RunFolder.of(loaded.workflow).daily
    predict = f"`{loaded.command('predict')}`"
    if not isinstance(published.files, DailyFiles):
        expected = f"expected a day's feed that was predicted by the model of run {published.run.id}"
        raise InputError(Problem(near(place), expected, hint=f"{predict} first"))
    run, file = _training_profile(loaded, published.run)
    before = FeedProfile.read(file, f"a new run makes it again: {loaded.run_command}")
    columns = ColumnCounts.read(place / COLUMN_COUNTS, f"{predict} makes them again")
    after = profile_of(published.files, columns, before)
    settings = loaded.workflow.drift
    rows = compare(before, after, settings.significance, settings.min_distance)
    return FeedDrift(run, before.products, after.products, [_named(row, published.taxonomy) for row in rows])


def _training_profile(loaded: LoadedWorkflow, published: Run) -> tuple[str, Path]:
    """The run that trained the published model, and its profile: later runs may have gone on publishing by it."""
    model = published.outputs[PUBLISHED].properties.get("model")
    runs = Runs.of(loaded)
    for name, output in reversed(runs.until(published.id, PUBLISHED, _LOOKED_BACK)):
        if output.properties.get("model") == model and (output.folder / FEED_PROFILE).is_file():
            return name, runs.find(name, PUBLISHED).folder(PUBLISHED) / FEED_PROFILE
    expected = "expected the profile of the feed that the published model was trained on; there is none"
    hint = f"an older version wrote none, and a retention may have deleted it; a new run makes it: {loaded.run_command}"
    raise InputError(Problem(near(published.outputs[PUBLISHED].folder), expected, hint=hint))


def _named(row: Comparison, taxonomy: Taxonomy) -> Comparison:
    if row.kind != "categories":
        return row
    cells = (
        dataclasses.replace(cell, label=taxonomy.path_text(cell.label) if cell.label in taxonomy else cell.label)
        for cell in row.cells
    )
    return dataclasses.replace(
        row, cells=tuple(cell if cell.label else dataclasses.replace(cell, label="no category") for cell in cells)
    )
