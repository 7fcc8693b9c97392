"""All strategies but the schedule, as one type that a workflow file can name by ``kind``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modules.query_strategies.entropy import Entropy
from modules.query_strategies.facility_location import FacilityLocation
from modules.query_strategies.least_confidence import LeastConfidence
from modules.query_strategies.margin import Margin
from modules.query_strategies.random_sampling import Random

Plain = Annotated[
    Random | Entropy | Margin | LeastConfidence | FacilityLocation,
    Field(discriminator="kind"),
]
