"""The strategies as types that a workflow file can name by ``kind``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modules.query_strategies.badge import BADGE
from modules.query_strategies.bald import BALD
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

Score = Annotated[
    Entropy | Margin | LeastConfidence | VoteEntropy | KLToConsensus | BALD | ExpectedGradientLength
    | InformationDensity | TaxonomyAware | ValueWeighted,
    Field(discriminator="kind"),
]  # fmt: skip
"""Strategies that give each product a utility of its own."""

Diverse = Annotated[
    Random | BatchBALD | BADGE | KCenter | ClusteredMargin | FacilityLocation | TypiClust | ProbCover | Discriminative,
    Field(discriminator="kind"),
]
"""Strategies that look at the batch as a whole."""
