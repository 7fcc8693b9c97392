"""How the words of a text become one vector in models with hidden layers.

A kind is a file of this folder and a line of :data:`TextEncoder`.
"""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from modules.features.text_encoders.bag import BagEncoder
from modules.features.text_encoders.base import TextEncoderSettings
from modules.features.text_encoders.cnn import CnnEncoder
from modules.features.text_encoders.gru import GruEncoder
from modules.features.text_encoders.lstm import LstmEncoder
from modules.features.text_encoders.mean import MeanEncoder
from modules.features.text_encoders.tfidf_mean import TfidfMeanEncoder

TextEncoder = Annotated[
    BagEncoder | MeanEncoder | TfidfMeanEncoder | CnnEncoder | GruEncoder | LstmEncoder, Field(discriminator="kind")
]
"""Any kind, as the workflow file declares it."""

KINDS: tuple[type[TextEncoderSettings], ...] = get_args(get_args(TextEncoder)[0])

DEFAULT = BagEncoder()
