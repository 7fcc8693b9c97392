"""A SavedModel like a run's: serialised examples in, three embeddings out, by arithmetic that a test can repeat."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from modules.similarity.changes import unit

COLOURS, WORDS = 3, 13
FEATURE = "embedding_of_meaning"
"""Of a feature that an index searches by itself: here the same as the text's."""
DIMENSIONS = {"embedding": COLOURS + WORDS, "embedding_image": COLOURS, "embedding_text": WORDS, FEATURE: WORDS}


def save_model(folder: Path, shift: float = 0.0) -> Path:
    """Embeds an image by its mean colour, a title by its letters from a to m; both together joined.

    Args:
      shift: another one makes another model.
    """
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def table(self, examples: Any) -> dict[str, Any]:
            spec = {name: tf.io.FixedLenFeature([], tf.string, "") for name in ("title", "image_bytes")}
            raw = tf.io.parse_example(examples, spec)
            letters = tf.strings.bytes_split(raw["title"])
            counts = [tf.reduce_sum(tf.cast(letters == chr(97 + i), tf.float32), axis=1) for i in range(WORDS)]
            text = tf.math.l2_normalize(tf.stack(counts, 1) + shift, axis=1)

            def colour(data: Any) -> Any:
                image = tf.io.decode_jpeg(data, channels=3)
                return tf.reduce_mean(tf.cast(image, tf.float32), [0, 1]) / 255.0

            nothing = tf.zeros([COLOURS])
            image = tf.map_fn(
                lambda data: tf.cond(data == "", lambda: nothing, lambda: colour(data)),
                raw["image_bytes"],
                fn_output_signature=tf.float32,
            )
            image = tf.math.l2_normalize(image, axis=1)
            joint = tf.math.l2_normalize(tf.concat([image, text], 1), axis=1)
            return {"embedding": joint, "embedding_image": image, "embedding_text": text, FEATURE: text}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures={"table": model.table})
    return folder


def text_vector(title: str) -> np.ndarray:
    """float32 (13,): what the model makes of a title."""
    return unit(np.array([[title.count(chr(97 + i)) for i in range(WORDS)]]))[0]


def picture(colour: tuple[int, int, int], form: str = "PNG", size: tuple[int, int] = (24, 16)) -> bytes:
    """An image of one colour."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, form)
    return stream.getvalue()


def image_vector(colour: tuple[int, int, int]) -> np.ndarray:
    """float32 (3,): what the model makes of such an image."""
    return unit(np.array([colour]))[0]
