"""Packages of every form become the same folder, and what is no encoder is refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from modules.encoders.checking import least_cosine
from modules.encoders.conversion import convert
from modules.encoders.folder import EncoderFolder, fingerprint, read_encoder, write_encoder
from modules.errors import InputError
from tests.encoder_packages import hugging_face_folder, jar, onnx_bytes, tokenizer_document
from tests.encoders import tiny_content, tiny_encoder


@pytest.fixture(scope="module")
def tiny() -> EncoderFolder:
    return tiny_content(2, pooling="cls")


def onnx_file(tiny: EncoderFolder, folder: Path) -> Path:
    hugging_face_folder(tiny, folder)
    (folder / "model.safetensors").unlink()
    (folder / "net.onnx").write_bytes(onnx_bytes(tiny))
    return folder / "net.onnx"


FORMS: dict[str, Callable[[EncoderFolder, Path], Path]] = {
    "jar": lambda tiny, folder: jar(tiny, folder.with_suffix(".jar")),
    "onnx": onnx_file,
    "folder": hugging_face_folder,
    "folder of the bare network": lambda tiny, folder: hugging_face_folder(tiny, folder, ""),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_encoder(tiny: EncoderFolder, tmp_path: Path, form: str) -> None:
    convert(FORMS[form](tiny, tmp_path / "package"), tmp_path / "made", "mine", max_tokens=32)
    made = read_encoder(tmp_path / "made")
    assert made.vocabulary == tiny.vocabulary and made.settings.name == "mine"
    assert made.settings.pooling == "cls" and made.settings.heads == 2 and made.settings.layers == 2
    assert made.check is not None and tiny.check is not None
    assert least_cosine(made.check, tiny.check) > 0.9999
    for name, tensor in made.weights.items():
        assert tensor.dtype == np.float16
        np.testing.assert_allclose(tensor, tiny.weights[name], rtol=1e-3, atol=1e-6)


def test_weights_beyond_float16_stay_float32(tiny: EncoderFolder, tmp_path: Path) -> None:
    name = "encoder.layer.0.attention.self.key.bias"  # softmax does not see what all keys have in common
    large = EncoderFolder(tiny.settings, tiny.vocabulary, tiny.weights | {name: tiny.weights[name] + 70_000}, None)
    convert(hugging_face_folder(large, tmp_path / "package"), tmp_path / "made", "mine")
    assert {tensor.dtype for tensor in read_encoder(tmp_path / "made").weights.values()} == {np.dtype(np.float32)}


def _changed_document(path: Path, change: Callable[[dict], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _changed_weights(folder: Path, change: Callable[[dict], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no heads": (lambda f: (f / "config.json").unlink(), "num_attention_heads"),
    "another network": (
        lambda f: _changed_document(f / "config.json", lambda d: d.update(model_type="roberta")), "model_type"
    ),
    "another activation": (
        lambda f: _changed_document(f / "config.json", lambda d: d.update(hidden_act="relu")), "hidden_act"
    ),
    "heads that do not fit": (
        lambda f: _changed_document(f / "config.json", lambda d: d.update(num_attention_heads=3)), "heads"
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "expected tokenizer.json or vocab.txt"),
    "another tokenizer": (
        lambda f: _changed_document(f / "tokenizer.json", lambda d: d["model"].update(type="Unigram")), "model.type"
    ),
    "ids with gaps": (
        lambda f: _changed_document(f / "tokenizer.json", lambda d: d["model"]["vocab"].update(red=9999)), "model.vocab"
    ),
    "max pooling": (
        lambda f: _changed_document(
            f / "1_Pooling/config.json", lambda d: d.update(pooling_mode_max_tokens=True)
        ), "pooling"
    ),
    "no JSON": (lambda f: (f / "config.json").write_text("{"), "expected JSON"),
    "no safetensors": (lambda f: (f / "model.safetensors").write_bytes(b"\x00" * 100), "safetensors"),
    "a missing tensor": (
        lambda f: _changed_weights(f, lambda t: t.pop("bert.encoder.layer.1.output.dense.bias")),
        "encoder.layer.1.output.dense.bias: this tensor is missing",
    ),
    "another shape": (
        lambda f: _changed_weights(f, lambda t: t.update({"bert.embeddings.LayerNorm.bias": np.zeros(3, np.float32)})),
        "expected the shape (16,)",
    ),
    "not finite": (
        lambda f: _changed_weights(f, lambda t: t["bert.embeddings.LayerNorm.bias"].fill(np.nan)), "finite"
    ),
    "a pickle": (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickle"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_missing_or_wrong_is_named_and_nothing_is_left(
    tiny: EncoderFolder, tmp_path: Path, damage: str
) -> None:
    package = hugging_face_folder(tiny, tmp_path / "package")
    spoil, words = DAMAGES[damage]
    spoil(package)
    with pytest.raises(InputError, match=words.replace("(", r"\(").replace(")", r"\)")):
        convert(package, tmp_path / "store" / "made", "mine")
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tiny.onnx": b""}, "expected one .onnx"),
        ({"other.onnx": b"x"}, "expected one .onnx"),
        ({"tiny.onnx": b"\xff" * 50}, "ONNX"),
        ({"tiny-tokenizer.json": b"[]"}, "expected a JSON object"),
        ({"../../evil/tokenizer.json": b"{}"}, "expected one tokenizer.json"),
    ],
)
def test_a_spoilt_jar_is_refused(tiny: EncoderFolder, tmp_path: Path, changes: dict[str, bytes], words: str) -> None:
    with pytest.raises(InputError, match=words):
        convert(jar(tiny, tmp_path / "package.jar", **changes), tmp_path / "made", "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["package.jar"]


def test_a_cut_jar_is_refused(tiny: EncoderFolder, tmp_path: Path) -> None:
    package = jar(tiny, tmp_path / "package.jar")
    data = bytearray(package.read_bytes())
    data[200] ^= 0xFF
    package.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        convert(package, tmp_path / "made", "mine")


@pytest.mark.parametrize("file", ["encoder.json", "vocabulary.txt", "weights.safetensors", "check.safetensors"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-9], lambda data: b"\xff" + data[1:]])
def test_a_damaged_folder_is_refused(tmp_path: Path, file: str, damage: Callable[[bytes], bytes]) -> None:
    folder = tiny_encoder(tmp_path / "tiny")
    (folder / file).write_bytes(damage((folder / file).read_bytes()))
    with pytest.raises(InputError, match=file):
        read_encoder(folder)


def test_the_fingerprint_is_of_what_vectors_depend_on(tmp_path: Path) -> None:
    first = fingerprint(tiny_encoder(tmp_path / "a"))
    assert fingerprint(tiny_encoder(tmp_path / "b", name="other", licence="MIT")) == first
    others = [{"pooling": "cls"}, {"max_tokens": 16}, {"prefix": "query: "}, {"lower_case": False}]
    prints = [fingerprint(tiny_encoder(tmp_path / f"c{n}", **changes)) for n, changes in enumerate(others)]
    assert len({first, fingerprint(tiny_encoder(tmp_path / "d", seed=1)), *prints}) == 6


def test_a_folder_that_is_there_is_not_written_over(tiny: EncoderFolder, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("kept")
    with pytest.raises(InputError, match="cannot be written"):
        write_encoder(tiny, tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_vocabulary_file_stands_for_a_tokenizer(tiny: EncoderFolder, tmp_path: Path) -> None:
    package = hugging_face_folder(tiny, tmp_path / "package")
    (package / "tokenizer.json").unlink()
    (package / "vocab.txt").write_text("\n".join(tokenizer_document(tiny)["model"]["vocab"]) + "\n", "utf-8")
    assert convert(package, tmp_path / "made", "mine", 32).vocabulary_checksum
    assert read_encoder(tmp_path / "made").vocabulary == tiny.vocabulary
