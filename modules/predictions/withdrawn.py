"""Categories and retailers whose predictions are no longer accepted, since an audit shows them wrong too often."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from modules.predictions.columns import ACCEPTED, CATEGORY_ID, RETAILER, objective_column


@dataclass(frozen=True)
class Withdrawn:
    """What is for review whatever its probability.

    Attributes:
      categories, retailers: objective to ids of categories, and to retailers.
    """

    categories: Mapping[str, frozenset[str]] = field(default_factory=dict)
    retailers: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(self.categories.values()) or any(self.retailers.values())

    @property
    def version(self) -> str:
        """Another one for other contents; empty where nothing is withdrawn."""
        parts = [
            {name: sorted(own) for name, own in sorted(kind.items())} for kind in (self.categories, self.retailers)
        ]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16] if self else ""

    def thresholds(
        self, thresholds: Mapping[str, Sequence[float]], classes: Mapping[str, Sequence[str]]
    ) -> dict[str, list[float]]:
        """Objective to each class's threshold, infinite for the categories.

        Args:
          classes: objective to the ids of its classes.
        """
        return {
            name: [
                np.inf if category in self.categories.get(name, ()) else value
                for category, value in zip(classes[name], values, strict=True)
            ]
            for name, values in thresholds.items()
        }

    def beside(self, columns: Iterable[str]) -> list[str]:
        """The columns, and with them those that :meth:`applied` needs."""
        columns = list(columns)
        ending = objective_column("", ACCEPTED)
        names = [column.removesuffix(ending) for column in columns if column.endswith(ending)]
        more = [objective_column(name, CATEGORY_ID) for name in names]
        return list(dict.fromkeys([*columns, *more, *([RETAILER] if names else [])]))

    def applied(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch of :meth:`beside` with nothing accepted of what is withdrawn."""
        parts = [(name, objective_column(name, CATEGORY_ID), own) for name, own in self.categories.items()]
        parts += [(name, RETAILER, own) for name, own in self.retailers.items()]
        for name, by, values in parts:
            place = batch.schema.get_field_index(objective_column(name, ACCEPTED))
            if place < 0 or not values:
                continue
            column = batch.column(by)
            texts = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
            is_meant = pc.is_in(texts, value_set=pa.array(sorted(values), pa.string()))
            left = pc.and_(batch.column(place), pc.invert(is_meant))
            batch = batch.set_column(place, batch.schema.field(place), left)
        return batch
