"""Names of the columns of predictions, and of the exported model's outputs, which most of them are made of.

The columns themselves are described in :class:`modules.predictions.predict.PredictionColumns`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from modules.examples import AVAILABILITY, ID, PRICE, RETAILER, RULES, TITLE

__all__ = [
    "ACCEPTED", "ANCESTORS", "ASSIGNED", "AVAILABILITY", "BALD", "CATEGORIES", "CATEGORY", "CATEGORY_ID", "CLASSES",
    "DISAGREEMENT", "EMBEDDING", "EMBEDDING_IMAGE", "EMBEDDING_TEXT", "ENTROPY", "GIVEN", "ID", "KL_TO_CONSENSUS",
    "LABEL", "LEAST_CONFIDENCE", "MARGIN", "MEMBERS", "MODEL_EMBEDDINGS", "PRICE", "PROBABILITIES", "PROBABILITY",
    "REST", "RETAILER", "RULES", "SOURCE", "SPLIT", "THRESHOLDS", "TITLE", "UNCERTAINTIES", "VOTE_ENTROPY",
    "embedding_column", "embedding_name", "embeddings_in", "objective_column", "objective_of", "objectives_of",
]  # fmt: skip

# Columns of a product. ID, TITLE, RETAILER, AVAILABILITY, PRICE and RULES are named like the features that they show.

EMBEDDING: Final = "embedding"
EMBEDDING_TEXT: Final = "embedding_text"
EMBEDDING_IMAGE: Final = "embedding_image"
MODEL_EMBEDDINGS: Final = {"joint": EMBEDDING, "text": EMBEDDING_TEXT, "image": EMBEDDING_IMAGE}
"""Column, and output of the exported model, of each embedding that a model has of its own."""
_OF_FEATURE: Final = "embedding_of_"

SPLIT: Final = "split"
"""The column that reading adds: which split a product is of."""

# Parts of an objective, which `objective_column` makes columns of.

CATEGORY: Final = "category"
CATEGORY_ID: Final = "category_id"
ANCESTORS: Final = "ancestors"
PROBABILITY: Final = "probability"
CLASSES: Final = "classes"
PROBABILITIES: Final = "probabilities"
REST: Final = "rest"
MEMBERS: Final = "members"
LABEL: Final = "label"
ASSIGNED: Final = "assigned"
GIVEN: Final = "given"
SOURCE: Final = "source"
"""What a product's category stands on, see :mod:`modules.predictions.guesses`."""
ACCEPTED: Final = "accepted"
"""Whether a product's category needs no look, see :mod:`modules.predictions.acceptance`."""

CATEGORIES: Final = "categories"
"""An output of the model that the table leaves out: the ids that ``classes`` stands for."""
THRESHOLDS: Final = "thresholds"
"""An output that a model may have for the evaluation: one threshold per class."""

ENTROPY: Final = "entropy"
MARGIN: Final = "margin"
LEAST_CONFIDENCE: Final = "least_confidence"
UNCERTAINTIES: Final = (ENTROPY, MARGIN, LEAST_CONFIDENCE)
"""What the one model's probabilities say about its certainty."""

VOTE_ENTROPY: Final = "vote_entropy"
KL_TO_CONSENSUS: Final = "kl_to_consensus"
BALD: Final = "bald"
DISAGREEMENT: Final = (VOTE_ENTROPY, KL_TO_CONSENSUS, BALD)
"""What a committee's members disagree by, in nats."""


def embedding_column(name: str) -> str:
    """The column of an embedding, and its output of the exported model.

    Args:
      name: one of :data:`MODEL_EMBEDDINGS`, or a feature that is an embedding itself.
    """
    return MODEL_EMBEDDINGS.get(name, f"{_OF_FEATURE}{name}")


def embedding_name(column: str) -> str:
    """The embedding that a column holds; the column's own name, where it is none of predictions."""
    own = {known: name for name, known in MODEL_EMBEDDINGS.items()}
    return own.get(column, column.removeprefix(_OF_FEATURE))


def embeddings_in(names: Iterable[str]) -> list[str]:
    """Those columns, or outputs, that are embeddings: the model's own, then features'."""
    there = set(names)
    of_features = sorted(name for name in there if name.startswith(_OF_FEATURE) and not objective_of(name))
    return [*(name for name in MODEL_EMBEDDINGS.values() if name in there), *of_features]


def objective_column(objective: str, part: str) -> str:
    """Name of an objective's column.

    Args:
      part: what the column holds, such as :data:`CATEGORY_ID`.
    """
    return f"{objective}/{part}"


def objective_of(column: str) -> str:
    """The objective that a column is of; empty for a column of the product itself."""
    return column.rpartition("/")[0]


def objectives_of(columns: Iterable[str]) -> list[str]:
    """The objectives that a table has predictions of, in the order of its columns."""
    ending = objective_column("", CATEGORY_ID)
    return [objective_of(column) for column in columns if column.endswith(ending)]
