"""Pictures in the input pipeline: kept, or read once; changed in training."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tensorflow as tf

from modules.training.data import batches
from modules.training.run import input_sizes
from modules.training.task import Examples
from tests.modules.training.shared import class_counts, task_of


@pytest.mark.parametrize("features", [("picture",), ("title",)])
@pytest.mark.parametrize("once", [False, True])
def test_what_is_read_once_is_not_kept(built, tmp_path, features, once):
    file = tmp_path / "examples.gz"
    shutil.copy(built.files["eval"], file)
    settings = built.settings(features)
    data = batches(
        [str(file)], settings.features, settings.objectives, class_counts(), batch_size=64, examples=80, once=once
    )
    assert sum(1 for _ in data) == 2
    file.unlink()
    if once:
        with pytest.raises(tf.errors.NotFoundError):
            list(data)
    else:
        assert sum(1 for _ in data) == 2


def test_eval_pictures_are_decoded_once_for_all_epochs(built, tmp_path):
    file = tmp_path / "examples.gz"
    shutil.copy(built.files["eval"], file)
    settings = built.settings(("picture",))
    sizes = input_sizes(settings, built.transform, class_counts())
    data = task_of(settings, sizes, [], 0, evaluation=Examples([str(file)], 80)).eval_batches()
    assert data is not None
    first = [inputs["picture/pixels"].numpy() for inputs, _ in data]
    file.unlink()
    for inputs, pixels in zip(data, first, strict=True):
        np.testing.assert_array_equal(inputs[0]["picture/pixels"], pixels)


def test_pictures_change_in_training_alone_and_otherwise_in_every_epoch(built):
    settings = built.settings(("picture",))

    def epoch(data) -> np.ndarray:
        return np.concatenate([inputs["picture/pixels"].numpy() for inputs, _ in data]).astype(np.float32)

    def data(**changes):
        return batches(
            [built.files["train"]],
            settings.features,
            settings.objectives,
            class_counts(),
            batch_size=64,
            examples=240,
            **changes,
        )

    plain, changed, again = data(), data(augment_seed=1), data(augment_seed=1)
    first, second = epoch(changed), epoch(changed)
    present = np.array([bool(row["image_bytes"]) for row in built.rows["train"]])
    assert not first[~present].any() and not epoch(plain)[~present].any()
    assert np.abs(first - second)[present].mean() > 1 and np.abs(first - epoch(plain))[present].mean() > 1
    np.testing.assert_array_equal(first, epoch(again))
