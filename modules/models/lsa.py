"""Latent semantic analysis: linear heads on an embedding that needs no labels."""

from __future__ import annotations

from typing import Literal

from modules.models.latent import LatentModelSettings


class LsaModel(LatentModelSettings):
    """Linear heads on the embedding that a truncated SVD finds in all products of the train split, labelled or not.

    The one for few labels: some hundreds in all."""

    kind: Literal["lsa"] = "lsa"
