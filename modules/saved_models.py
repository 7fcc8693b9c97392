"""The one place where exported models are loaded."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# Registers the ops that a model with a text encoder consists of. A third of a second, which loading any model waits
# for: what is in the model is known only once it is loaded.
import tensorflow_text as _tensorflow_text  # noqa: F401

TABLE_SIGNATURE = "table"
"""The signature that predictions for the table of all products come from."""


def load_saved_model(folder: str) -> Any:
    """What ``tf.saved_model.load`` gives for the folder, with all ops known that a model of ours may have.

    It has to stay alive as long as a signature of it is used.

    Raises:
      OSError, ValueError, tf.errors.OpError: it cannot be loaded.
    """
    return tf.saved_model.load(folder)
