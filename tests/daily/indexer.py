"""A program that renews the indexes and kills itself: WORKFLOW POINT SHARE.

POINT is after what: ``compared`` (the state has taken the base), ``written`` (a layer is whole, under another name),
``built`` (an index was built anew), ``settled`` (a version has its name) or ``taken`` (the state has taken it as base).
SHARE: of outdated products, from which on indexes are built anew.
"""

from __future__ import annotations

import sys
from functools import partial

from modules.predictions.daily.state import DailyState
from pipeline import daily, daily_index
from pipeline.workflow_file import load_workflow
from tests.daily.predictor import dying

POINTS = {
    "compared": (DailyState, "take_base", 0),
    "written": (daily_index, "write_layer", 0),
    "built": (daily_index, "make_index", 0),
    "settled": (daily_index, "settle", 0),
    "taken": (DailyState, "take_base", 1),
}

if __name__ == "__main__":
    workflow, point, share = sys.argv[1:]
    daily_index.REBUILD_SHARE = float(share)
    where, name, number = POINTS[point]
    setattr(where, name, dying(getattr(where, name), number))
    daily.predict(load_workflow(workflow), then=partial(daily_index.renew_index, load_workflow(workflow)))
