"""All classes of a few products are what the model's own signature says of them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from modules.predictions import all_classes
from modules.predictions.all_classes import all_probabilities
from tests.modules.training.shared import Built


def test_some_products_out_of_many_files(built: Built, exported, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(all_classes, "BATCH", 16)
    examples = built.raw("train")
    sources = []
    for number, part in enumerate((examples[:100], examples[100:])):
        sources.append(str(tmp_path / f"{number}.gz"))
        with tf.io.TFRecordWriter(sources[-1], tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for example in part:
                writer.write(example)
    model = exported[1]
    signature = tf.saved_model.load(model).signatures["evaluate"]
    whole = signature(examples=tf.constant(examples))["exclusive/probabilities"].numpy()
    rows = np.random.default_rng(3).permutation(240)[:50]
    found = all_probabilities(model, sources, "exclusive", [f"p{row}" for row in rows])
    np.testing.assert_allclose(found, whole[rows], atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    with pytest.raises(KeyError, match="1 product is"):
        all_probabilities(model, sources, "exclusive", ["p3", "nobody"])
