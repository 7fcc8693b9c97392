"""Labels: what people (and imports, and models) said about products, and what that comes to."""

from modules.labels.aggregation import resolve
from modules.labels.carrying import carry_over
from modules.labels.model import VALUES, LabelCount, LabelLog, LabelRow, LabelSummary, ResolvedLabel, ResolvedLabels
from modules.labels.reading import read_labels

__all__ = [
    "VALUES",
    "LabelCount",
    "LabelLog",
    "LabelRow",
    "LabelSummary",
    "ResolvedLabel",
    "ResolvedLabels",
    "carry_over",
    "read_labels",
    "resolve",
]
