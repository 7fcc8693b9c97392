"""Packages as encoders come in, made of a tiny encoder: ONNX, jar and a folder of Hugging Face's form."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from modules.encoders.folder import EncoderFolder


class _Graph:
    """A BERT network as exporters write it: named initialisers but for the matrices, and nodes by their module."""

    def __init__(self, encoder: EncoderFolder):
        self.weights, self.settings = encoder.weights, encoder.settings
        self.nodes: list[Any] = []
        self.values: list[Any] = []

    def constant(self, name: str, value: Any) -> str:
        self.values.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        output = f"{name}_output_0"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def dense(self, x: str, module: str) -> str:
        scope = "/" + module.replace("encoder.layer.", "encoder/layer_").replace(".", "/").replace("layer_", "layer.")
        matrix = self.constant(f"onnx::MatMul_{len(self.values)}", self.weights[f"{module}.weight"].T.copy())
        bias = self.constant(f"{module}.bias", self.weights[f"{module}.bias"])
        return self.node("Add", [bias, self.node("MatMul", [x, matrix], f"{scope}/MatMul")], f"{scope}/Add")

    def norm(self, x: str, module: str) -> str:
        parts = [self.constant(f"{module}.{part}", self.weights[f"{module}.{part}"]) for part in ("weight", "bias")]
        return self.node("LayerNormalization", [x, *parts], f"/{module}", axis=-1, epsilon=1e-12)

    def heads(self, x: str, name: str) -> str:
        width = self.settings.width // self.settings.heads
        shape = self.constant(f"{name}_shape", np.array([0, 0, self.settings.heads, width], np.int64))
        return self.node("Transpose", [self.node("Reshape", [x, shape], f"{name}_r")], f"{name}_t", perm=[0, 2, 1, 3])

    def layer(self, x: str, number: int, hidden: str) -> str:
        module = f"encoder.layer.{number}"
        query, key, value = (
            self.heads(self.dense(x, f"{module}.attention.self.{part}"), f"{part}{number}")
            for part in ("query", "key", "value")
        )
        turned = self.node("Transpose", [key], f"turned{number}", perm=[0, 1, 3, 2])
        scale = self.constant(f"scale{number}", np.float32((self.settings.width // self.settings.heads) ** -0.5))
        scores = self.node("Mul", [self.node("MatMul", [query, turned], f"scores{number}"), scale], f"scaled{number}")
        shares = self.node(
            "Softmax", [self.node("Add", [scores, hidden], f"masked{number}")], f"shares{number}", axis=-1
        )
        mixed = self.node("Transpose", [self.node("MatMul", [shares, value], f"mix{number}")], f"back{number}",
                          perm=[0, 2, 1, 3])  # fmt: skip
        shape = self.constant(f"flat{number}", np.array([0, 0, self.settings.width], np.int64))
        mixed = self.dense(self.node("Reshape", [mixed, shape], f"joined{number}"), f"{module}.attention.output.dense")
        x = self.norm(self.node("Add", [mixed, x], f"skip{number}"), f"{module}.attention.output.LayerNorm")
        inner = self.dense(x, f"{module}.intermediate.dense")
        root = self.constant(f"root{number}", np.float32(2**-0.5))
        error = self.node("Erf", [self.node("Mul", [inner, root], f"r{number}")], f"erf{number}")
        half, one = (self.constant(f"{value}_{number}", np.float32(value)) for value in (0.5, 1.0))
        gate = self.node("Mul", [self.node("Add", [error, one], f"more{number}"), half], f"gate{number}")
        inner = self.node("Mul", [inner, gate], f"gelu{number}")
        y = self.node("Add", [self.dense(inner, f"{module}.output.dense"), x], f"skip2{number}")
        return self.norm(y, f"{module}.output.LayerNorm")


def onnx_bytes(encoder: EncoderFolder) -> bytes:
    """The network of an encoder as ONNX, with GELU by the error function, as BERT has it."""
    graph = _Graph(encoder)
    tables = {
        part: graph.constant(
            f"embeddings.{part}_embeddings.weight", encoder.weights[f"embeddings.{part}_embeddings.weight"]
        )
        for part in ("word", "position", "token_type")
    }
    words = graph.node("Gather", [tables["word"], "input_ids"], "words")
    kinds = graph.node("Gather", [tables["token_type"], "token_type_ids"], "kinds")
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    zero, one = graph.constant("zero", np.int64(0)), graph.constant("one", np.int64(1))
    axes = graph.constant("axes", np.array([0], np.int64))
    places = graph.node("Range", [zero, graph.node("Squeeze", [length, axes], "n"), one], "places")
    positions = graph.node("Gather", [tables["position"], places], "positions")
    x = graph.node("Add", [graph.node("Add", [words, kinds], "sum"), positions], "sum2")
    x = graph.norm(x, "embeddings.LayerNorm")
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    away = graph.constant("away", np.float32(1e9))
    minus = graph.node("Mul", [graph.node("Sub", [mask, graph.constant("full", np.float32(1))], "less"), away], "minus")
    hidden = graph.node("Unsqueeze", [minus, graph.constant("new", np.array([1, 2], np.int64))], "hidden")
    for number in range(encoder.settings.layers):
        x = graph.layer(x, number, hidden)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", "length", encoder.settings.width])
    network = helper.make_graph(graph.nodes, "tiny", inputs, [output], graph.values)
    model = helper.make_model(network, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def tokenizer_document(encoder: EncoderFolder) -> dict[str, Any]:
    """``tokenizer.json`` of an encoder, without special tokens that a text could spell."""
    ids = {piece: number for number, piece in enumerate(encoder.vocabulary)}
    settings = encoder.settings
    special = {piece: {"id": piece, "ids": [ids[piece]], "tokens": [piece]} for piece in ("[CLS]", "[SEP]")}
    single = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]  # fmt: skip
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": settings.strip_accents, "lowercase": settings.lower_case},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": settings.max_word_characters, "vocab": ids},
    }  # fmt: skip


def config_document(encoder: EncoderFolder) -> dict[str, Any]:
    """``config.json`` of an encoder."""
    return {"model_type": "bert", "num_attention_heads": encoder.settings.heads, "hidden_act": "gelu"}


def pooling_document(encoder: EncoderFolder) -> dict[str, Any]:
    """``1_Pooling/config.json`` of an encoder."""
    cls = encoder.settings.pooling == "cls"
    return {"pooling_mode_cls_token": cls, "pooling_mode_mean_tokens": not cls, "pooling_mode_max_tokens": False}


def jar(encoder: EncoderFolder, path: Path, **changes: bytes) -> Path:
    """A jar with the encoder as ONNX; ``changes`` replace or add members, empty ones leave them out."""
    members = {
        "tiny.onnx": onnx_bytes(encoder),
        "tiny-tokenizer.json": json.dumps(tokenizer_document(encoder)).encode(),
        "model/config.json": json.dumps(config_document(encoder)).encode(),
        "1_Pooling/config.json": json.dumps(pooling_document(encoder)).encode(),
        "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n",
    } | changes
    with zipfile.ZipFile(path, "w") as package:
        for name, data in members.items():
            if data:
                package.writestr(name, data)
    return path


def hugging_face_folder(encoder: EncoderFolder, folder: Path, prefix: str = "bert.") -> Path:
    """A folder with safetensors; its tensors' names begin with ``prefix``."""
    (folder / "1_Pooling").mkdir(parents=True)
    width = encoder.settings.width
    tensors = {f"{prefix}{name}": np.ascontiguousarray(tensor) for name, tensor in encoder.weights.items()}
    tensors[f"{prefix}pooler.dense.weight"] = np.zeros((width, width), np.float32)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config_document(encoder)))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_document(encoder)))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling_document(encoder)))
    return folder
