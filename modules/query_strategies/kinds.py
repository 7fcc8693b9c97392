"""The strategies as types that a workflow file can name by ``kind``."""

from __future__ import annotations

from typing import Annotated, TypeAlias, get_args

from pydantic import Field

from modules.plugins import EntryPoints, WithEntryPoints
from modules.query_strategies.badge import BADGE
from modules.query_strategies.bald import BALD
from modules.query_strategies.base import QueryStrategy, ScoreStrategy
from modules.query_strategies.batch_bald import BatchBALD
from modules.query_strategies.clustered_margin import ClusteredMargin
from modules.query_strategies.discriminative import Discriminative
from modules.query_strategies.entropy import Entropy
from modules.query_strategies.expected_gradient_length import ExpectedGradientLength
from modules.query_strategies.facility_location import FacilityLocation
from modules.query_strategies.information_density import InformationDensity
from modules.query_strategies.k_center import KCenter
from modules.query_strategies.kl_to_consensus import KLToConsensus
from modules.query_strategies.least_confidence import LeastConfidence
from modules.query_strategies.margin import Margin
from modules.query_strategies.probcover import ProbCover
from modules.query_strategies.random_sampling import Random
from modules.query_strategies.taxonomy_aware import TaxonomyAware
from modules.query_strategies.typiclust import TypiClust
from modules.query_strategies.value_weighted import ValueWeighted
from modules.query_strategies.vote_entropy import VoteEntropy

_Scores: TypeAlias = (
    Entropy | Margin | LeastConfidence | VoteEntropy | KLToConsensus | BALD | ExpectedGradientLength
    | InformationDensity | TaxonomyAware | ValueWeighted
)  # fmt: skip
_Batches: TypeAlias = (
    Random | BatchBALD | BADGE | KCenter | ClusteredMargin | FacilityLocation | TypiClust | ProbCover | Discriminative
)

BUILTIN: dict[str, type[QueryStrategy]] = {
    cls.model_fields["kind"].default: cls for cls in (*get_args(_Scores), *get_args(_Batches))
}
"""All that come with the package but those that are made of others."""

QUERY_STRATEGIES: EntryPoints[QueryStrategy] = EntryPoints(
    "shelfmark.query_strategies",
    "query strategy",
    QueryStrategy,  # type: ignore[type-abstract]
    (*BUILTIN, "combined", "schedule"),
)
"""Those that other distributions add."""

Score = Annotated[_Scores, Field(discriminator="kind"), WithEntryPoints(QUERY_STRATEGIES, ScoreStrategy)]
"""Strategies that give each product a utility of its own."""

Diverse = Annotated[_Batches, Field(discriminator="kind"), WithEntryPoints(QUERY_STRATEGIES, QueryStrategy)]
"""Strategies that look at the batch as a whole."""

Single: TypeAlias = _Scores | _Batches
"""Any of these."""
