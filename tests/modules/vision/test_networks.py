"""The image tower: what it is fed, what it starts from, what of it learns, and what goes wrong with weights."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from modules.errors import InputError
from modules.features import ImageFeature
from modules.settings.backbones import LEAST_SIZE, PIXELS_OF
from modules.training.image_start import small_size, takes_any_size
from modules.vision.networks import BACKBONE, image_tower, layer_names
from modules.vision.preprocess import ScalePixels

RNG = np.random.default_rng(7)
PICTURES = RNG.integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
MODULES = {
    "ConvNeXt": "convnext", "EfficientNetB": "efficientnet", "EfficientNetV2": "efficientnet_v2",
    "MobileNetV3": "mobilenet_v3", "InceptionV3": "inception_v3", "InceptionResNetV2": "inception_resnet_v2",
    "MobileNetV2": "mobilenet_v2", "MobileNet": "mobilenet", "NASNet": "nasnet", "Xception": "xception",
    "DenseNet": "densenet", "VGG16": "vgg16", "VGG19": "vgg19",
}  # fmt: skip


def module_of(backbone: str):
    """The module of ``keras.applications`` whose ``preprocess_input`` belongs to a network."""
    if backbone.startswith("ResNet"):
        return keras.applications.resnet_v2 if backbone.endswith("V2") else keras.applications.resnet
    prefix = max((p for p in MODULES if backbone.startswith(p)), key=len)
    return getattr(keras.applications, MODULES[prefix])


def feature(**changes) -> ImageFeature:
    return ImageFeature(**{"size": (32, 32), "channels": (4, 6, 8), "width": 5, **changes})


def tower_of(seed: int = 3, **changes) -> keras.Model:
    return image_tower("picture", feature(**changes), seed)


def learnt(tower: keras.Model) -> set[str]:
    """Names of the parameters that a step on all outputs changes."""
    before = {v.path: v.numpy().copy() for v in tower.variables}
    model = keras.Model(tower.input, keras.layers.Dense(3)(tower.output))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.fit(PICTURES, RNG.normal(size=(4, 3)), batch_size=4, epochs=2, verbose=0)
    return {v.path for v in tower.variables if not np.array_equal(before[v.path], v.numpy())}


@pytest.mark.parametrize("backbone", sorted(PIXELS_OF))
def test_pixels_are_scaled_as_the_networks_own_function_does(backbone):
    assert hasattr(keras.applications, backbone)
    expected = module_of(backbone).preprocess_input(PICTURES.copy())
    found = keras.ops.convert_to_numpy(ScalePixels(PIXELS_OF[backbone])(PICTURES))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_every_network_of_keras_applications_can_be_named():
    networks = {
        name for name in dir(keras.applications) if name[0].isupper() and callable(getattr(keras.applications, name))
    }
    assert networks == set(PIXELS_OF)


def test_rows_have_unit_length_and_follow_from_the_seed():
    vectors = tower_of()(PICTURES).numpy()
    assert vectors.shape == (4, 5) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(vectors, tower_of()(PICTURES).numpy())
    assert np.abs(vectors - tower_of(seed=4)(PICTURES).numpy()).max() > 1e-3
    assert tower_of(width=None)(PICTURES).shape == (4, 16)  # mean and maximum of 8 channels


def test_any_size_has_the_same_weights():
    own, free = tower_of(), image_tower("picture", feature(), 3, any_size=True)
    np.testing.assert_allclose(own(PICTURES).numpy(), free(PICTURES).numpy(), atol=1e-6)
    assert free(PICTURES[:, :20, :24]).shape == (4, 5)


def test_all_of_the_small_network_learns():
    tower = tower_of()
    assert learnt(tower) == {v.path for v in tower.variables}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights of a small network whose normalisation has seen something."""
    tower = tower_of(seed=11, width=None)
    learnt(tower)
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    backbone = keras.Model(tower.input, tower.get_layer("small_cnn_out").output)
    backbone.save_weights(path)
    np.save(path.with_suffix(".npy"), tower(PICTURES).numpy())
    return str(path)


def test_a_frozen_network_stays_as_the_file_has_it(weights):
    tower = tower_of(train="frozen", weights=weights)
    assert learnt(tower) == {v.path for v in tower.variables if "projection" in v.path}
    plain = tower_of(train="frozen", weights=weights, width=None)
    expected = np.load(Path(weights).with_suffix(".npy"))
    # Training mode changes nothing: normalisation stands on the statistics of the file.
    for training in (True, False):
        np.testing.assert_allclose(plain(PICTURES, training=training).numpy(), expected, atol=1e-6)


def test_a_network_learns_from_a_layer_on(weights):
    tower = tower_of(train="small_cnn_stage2_a", weights=weights)
    changed = learnt(tower)
    assert any("small_cnn_stage2_a/" in path for path in changed)
    assert not any("stem" in path or "stage1" in path for path in changed)
    # Normalisation of a network that came with weights stays as it was.
    assert not any("norm" in path and "projection" not in path for path in changed)


def test_a_layer_that_is_not_there_is_said():
    with pytest.raises(InputError, match="small_cnn_stage2_a") as caught:
        tower_of(train="stage9")
    assert caught.value.problems[0].key == "features.picture.train"


@pytest.mark.parametrize(("backbone", "weights"), [("small_cnn", "no.weights.h5"), ("keras", "no.keras"),
                                                   ("savedmodel", "none/here"), ("MobileNetV2", "no.h5")])  # fmt: skip
def test_weights_that_are_not_there_are_said(backbone, weights):
    with pytest.raises(InputError, match="nothing is there") as caught:
        tower_of(backbone=backbone, weights=weights, train="frozen")
    assert caught.value.problems[0].key == "features.picture.weights" and caught.value.problems[0].value == weights


@pytest.mark.parametrize("backbone", ["small_cnn", "keras", "savedmodel", "MobileNetV2"])
def test_weights_that_are_something_else_are_said(backbone, tmp_path):
    path = tmp_path / ("x.keras" if backbone == "keras" else "x.weights.h5")
    path.write_bytes(b"not weights")
    with pytest.raises(InputError, match=f"does not fit backbone: {backbone}"):
        tower_of(backbone=backbone, weights=str(path), train="frozen")


def test_weights_that_cannot_be_downloaded_say_how_to_supply_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("URL fetch failure on https://example.org/weights.h5: no route to host")

    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", refuse)
    with pytest.raises(InputError) as caught:
        tower_of(backbone="MobileNetV2", weights="imagenet")
    (problem,) = caught.value.problems
    assert problem.key == "features.picture.weights" and "https://example.org/weights.h5" in problem.expected
    assert "name it here" in problem.hint and "small_cnn" in problem.hint


def encoder(height: int | None = None) -> keras.Model:
    pixels = keras.Input((height, height, 3))
    values = keras.layers.Conv2D(6, 3, strides=2, name="first")(pixels)
    return keras.Model(pixels, keras.layers.Conv2D(7, 3, strides=2, activation="relu", name="second")(values))


def test_a_keras_file_is_an_encoder(tmp_path):
    path, model = tmp_path / "own.keras", encoder(32)
    model.save(path)
    tower = tower_of(backbone="keras", weights=str(path), pixels="-1..1", train="frozen", width=None)
    expected = model(PICTURES / 127.5 - 1.0).numpy().mean(axis=(1, 2))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(tower(PICTURES).numpy(), expected, atol=1e-5)
    assert not learnt(tower)
    fine = tower_of(backbone="keras", weights=str(path), train="second", width=None)
    assert {p.rsplit("/", 2)[-2] for p in learnt(fine)} == {"second"}


def test_a_keras_file_for_other_pictures_is_said(tmp_path):
    encoder(24).save(tmp_path / "own.keras")
    with pytest.raises(InputError, match="32, 32, 3"):
        tower_of(backbone="keras", weights=str(tmp_path / "own.keras"))


def test_a_keras_file_cannot_bring_code(tmp_path):
    """Python code in a file is run by nobody: what Keras' safe mode refuses is refused."""
    mark = str(tmp_path / "ran")
    pixels = keras.Input((32, 32, 3))
    values = keras.layers.Lambda(lambda x: (open(mark, "w").close(), x)[1])(pixels)
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(values)).save(tmp_path / "own.keras")
    Path(mark).unlink(missing_ok=True)
    with pytest.raises(InputError, match="does not fit backbone: keras"):
        tower_of(backbone="keras", weights=str(tmp_path / "own.keras"))
    assert not Path(mark).exists()


def test_a_saved_model_is_an_encoder(tmp_path):
    model = encoder(32)
    model.export(str(tmp_path / "own"), verbose=False)
    tower = tower_of(backbone="savedmodel", weights=str(tmp_path / "own"), train="frozen", width=None)
    expected = model(PICTURES).numpy().mean(axis=(1, 2))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(tower(PICTURES).numpy(), expected, atol=1e-5)
    assert not learnt(tower)
    # The tower goes into the exported model and comes out the same.
    module = tf.Module()
    module.tower = tower
    module.call = tf.function(lambda x: tower(x, training=False), [tf.TensorSpec([None, 32, 32, 3], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "out"))
    again = tf.saved_model.load(str(tmp_path / "out"))
    np.testing.assert_allclose(again.call(PICTURES).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (None, 24, 24, 3), (None, 32, 32, 1)])
def test_an_encoder_of_other_pictures_or_of_one_at_a_time_is_said(shape, tmp_path):
    values = keras.Input(batch_shape=shape)
    model = keras.Model(values, keras.layers.Conv2D(6, 3)(values))
    model.save(tmp_path / "own.keras")
    call = tf.function(lambda x: tf.reduce_mean(tf.ensure_shape(x, shape), [1, 2]), [tf.TensorSpec(shape, tf.float32)])
    module = tf.Module()
    module.serve = call
    tf.saved_model.save(module, str(tmp_path / "own"), signatures={"serving_default": call})
    for backbone, path in (("keras", "own.keras"), ("savedmodel", "own")):
        with pytest.raises(InputError) as caught:
            tower_of(backbone=backbone, weights=str(tmp_path / path), train="frozen", width=None)
        assert caught.value.problems[0].key == "features.picture.weights"


def test_a_network_trains_with_the_arithmetic_that_it_serves_with():
    """Those that pad by the size they are built for keep it; at odd sizes they would compute something else."""
    for backbone, size in (("small_cnn", (19, 15)), ("MobileNetV2", (40, 33)), ("MobileNetV3Small", (40, 33))):
        image = feature(backbone=backbone, size=size)
        tower = image_tower("picture", image, 3)
        trained = image_tower("picture", image, 3, any_size=takes_any_size(image))
        trained.set_weights(tower.get_weights())
        pictures = RNG.integers(0, 256, (2, *size, 3)).astype(np.float32)
        np.testing.assert_allclose(trained(pictures).numpy(), tower(pictures).numpy(), atol=1e-5)
        assert trained(np.zeros((1, *small_size(image), 3), np.float32)).shape == (1, 5)


SOME = ("MobileNetV2", "MobileNetV3Small", "EfficientNetV2B0", "DenseNet121", "InceptionV3", "ResNet50")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", SOME)
def test_backbones_build_freeze_and_take_their_weights_from_a_file(backbone, tmp_path):
    side = LEAST_SIZE.get(backbone, 32)
    pictures = RNG.integers(0, 256, (2, side, side, 3)).astype(np.float32)
    own = getattr(keras.applications, backbone)(
        include_top=False, weights=None, input_shape=(side, side, 3), pooling="avg"
    )
    path = tmp_path / "own.weights.h5"
    own.save_weights(path)
    tower = tower_of(backbone=backbone, size=(side, side), weights=str(path), train="frozen", width=None)
    expected = own(module_of(backbone).preprocess_input(pictures.copy()), training=False).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(tower(pictures, training=True).numpy(), expected, atol=1e-4)
    assert not tower.trainable_variables
    named = list(zip(layer_names(own), own.layers, strict=True))
    last = [name for name, layer in named if layer.weights][-1]
    conv = [name for name, layer in named if isinstance(layer, keras.layers.Conv2D)][-1]
    tuned = tower_of(backbone=backbone, size=(side, side), weights=str(path), train=conv, width=None)
    inside = tuned.get_layer(BACKBONE)
    learning = {
        name for name, layer in zip(layer_names(inside), inside.layers, strict=True) if layer.trainable_variables
    }
    assert conv in learning and learning < {name for name, _ in named} and (last in learning) == (last == conv)
