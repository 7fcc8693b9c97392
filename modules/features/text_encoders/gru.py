"""A recurrent network over word vectors: gated recurrent units (Cho et al. 2014)."""

from __future__ import annotations

from typing import ClassVar, Literal

from modules.features.text_encoders.recurrent import RecurrentEncoder


class GruEncoder(RecurrentEncoder):
    """Reads word after word through gated recurrent units (Cho et al. 2014)."""

    kind: Literal["gru"] = "gru"

    cell: ClassVar[str] = "GRU"
