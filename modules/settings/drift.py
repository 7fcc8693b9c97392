"""When a day's feed counts as another than the one that the model was trained on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modules.settings.base import Settings


class DriftSettings(Settings):
    """What ``shelfmark drift`` raises an alarm at."""

    significance: Annotated[float, Field(gt=0.0, le=0.5)] = 0.01
    """How likely at most a day is to raise an alarm where nothing but chance has changed; all comparisons of all
    retailers share it."""
    min_distance: Annotated[float, Field(gt=0.0, le=1.0)] = 0.15
    """The Jensen-Shannon distance (base 2, from 0 to 1) below which a difference is no alarm, however sure it is. A
    column that was full is 0.15 away when 4.4% of its values are missing."""
