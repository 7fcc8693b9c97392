"""A recurrent network over word vectors: long short-term memory (Hochreiter & Schmidhuber 1997)."""

from __future__ import annotations

from typing import ClassVar, Literal

from modules.features.text_encoders.recurrent import RecurrentEncoder


class LstmEncoder(RecurrentEncoder):
    """Reads word after word through long short-term memory (Hochreiter & Schmidhuber 1997)."""

    kind: Literal["lstm"] = "lstm"

    cell: ClassVar[str] = "LSTM"
