"""From a package to an encoder's folder: settings, vocabulary, float16 weights if nothing is lost, and the check."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pydantic

from modules.arrays import Float32Array
from modules.encoders.checking import reduced
from modules.encoders.files import NO_CHECKSUM, check_weights
from modules.encoders.folder import MAX_TOKENS, EncoderFolder, EncoderSettings, write_encoder
from modules.encoders.known import KnownTextEncoder
from modules.encoders.packages import Package, read_package
from modules.errors import InputError, Problem


def convert(
    package: Path, folder: Path, name: str, max_tokens: int | None = None, known: KnownTextEncoder | None = None
) -> EncoderSettings:
    """Makes an encoder's folder of a package; returns its settings.

    A known encoder's vectors are compared with those that its original gives. Of others only the conversion to float16
    is compared.

    Args:
      package: a jar, an ONNX file with its documents beside it, or a folder.
      folder: to be written; must not exist.
      name: of the encoder.
      max_tokens: word pieces of a text that are read; None: :data:`~modules.encoders.folder.MAX_TOKENS`.
      known: the encoder whose package it is.

    Raises:
      InputError: the package is none, misses something, or gives other vectors than it has to. No folder is left.
    """
    parts = read_package(package)
    vocabulary, tokenizer = _tokenizer(parts)
    settings = _settings(parts, name, known, tokenizer, max_tokens)
    check_weights(parts.origin, parts.weights, settings.shapes(len(vocabulary)))
    encoder = checked(EncoderFolder(settings, vocabulary, parts.weights, None), known)
    return write_encoder(encoder, folder)


def checked(encoder: EncoderFolder, known: KnownTextEncoder | None) -> EncoderFolder:
    """The encoder with its check vectors, and its weights as float16 if no vector changes by that.

    Raises:
      InputError: a known encoder gives other vectors than its original.
    """
    weights, check = reduced(
        encoder.weights, lambda weights: _vectors(replace(encoder, weights=weights)), encoder.settings.origin, known
    )
    return replace(encoder, weights=weights, check=check)


def _vectors(encoder: EncoderFolder) -> Float32Array:
    from modules.encoders.text_encoder import TextEncoder, check_vectors

    return check_vectors(TextEncoder(encoder))


def _settings(
    parts: Package, name: str, known: KnownTextEncoder | None, tokenizer: dict[str, Any], max_tokens: int | None
) -> EncoderSettings:
    """What the package says, the known encoder says, or the tensors' shapes say.

    Raises:
      InputError: none of them does.
    """
    config = parts.documents.get("config.json", {})
    _check_network(parts.origin, config)
    words = _shape(parts, "embeddings.word_embeddings.weight")
    positions = _shape(parts, "embeddings.position_embeddings.weight")[0]
    inner = _shape(parts, "encoder.layer.0.intermediate.dense.weight")[0]
    numbers = {int(match[1]) for key in parts.weights if (match := re.match(r"encoder\.layer\.(\d+)\.", key))}
    heads = known.heads if known is not None else config.get("num_attention_heads")
    if not isinstance(heads, int):
        expected = "expected num_attention_heads: the number of heads cannot be told from the weights"
        raise InputError(Problem(parts.origin, expected, hint="put the encoder's config.json beside its weights"))
    try:
        return EncoderSettings(
            name=name,
            licence=known.licence if known is not None else "unknown",
            origin=known.source.coordinates if known is not None else parts.origin,
            layers=len(numbers),
            heads=heads,
            width=words[1],
            intermediate_width=inner,
            positions=positions,
            segments=_shape(parts, "embeddings.token_type_embeddings.weight")[0],
            pooling=known.pooling if known is not None else _pooling(parts),
            prefix=known.prefix if known is not None else "",
            max_tokens=min(positions, MAX_TOKENS) if max_tokens is None else max_tokens,
            vocabulary_checksum=NO_CHECKSUM,
            weights_checksum=NO_CHECKSUM,
            **tokenizer,
        )
    except pydantic.ValidationError as error:
        raise InputError(
            Problem(parts.origin, entry["msg"], key=".".join(str(part) for part in entry["loc"]))
            for entry in error.errors(include_url=False, include_context=False, include_input=False)
        ) from error


def _shape(parts: Package, name: str) -> tuple[int, int]:
    tensor = parts.weights.get(name)
    if tensor is None or tensor.ndim != 2:
        expected = "this matrix is missing: expected the network of a BERT encoder"
        raise InputError(Problem(parts.origin, expected, key=name))
    return tensor.shape


def _check_network(origin: str, config: dict[str, Any]) -> None:
    expected = {
        "model_type": ("bert",),
        "hidden_act": ("gelu", "gelu_new", "gelu_pytorch_tanh"),
        "position_embedding_type": ("absolute",),
        "layer_norm_eps": (1e-12,),
    }
    problems = [
        Problem(origin, f"expected {' or '.join(str(value) for value in values)}", key=key, value=str(config[key]))
        for key, values in expected.items()
        if key in config and config[key] not in values
    ]
    if problems:
        raise InputError(problems)


def _pooling(parts: Package) -> Literal["mean", "cls"]:
    """What ``1_Pooling/config.json`` says; the mean, sentence-transformers' own default, without it."""
    document = parts.documents.get("pooling.json")
    if document is None:
        return "mean"
    modes = [key for key, value in document.items() if key.startswith("pooling_mode_") and value is True]
    if modes == ["pooling_mode_cls_token"]:
        return "cls"
    if modes == ["pooling_mode_mean_tokens"]:
        return "mean"
    expected = "expected pooling by the mean of all tokens or by the first token alone"
    raise InputError(Problem(parts.origin, expected, key="1_Pooling/config.json", value=", ".join(modes) or "none"))


def _tokenizer(parts: Package) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Word pieces by id, and the settings of the tokenizer.

    Raises:
      InputError: there is none, or one of another kind than BERT's WordPiece.
    """
    document = parts.documents.get("tokenizer.json")
    if document is None:
        if parts.vocabulary is None:
            raise InputError(Problem(parts.origin, "expected tokenizer.json or vocab.txt beside the weights"))
        config = parts.documents.get("tokenizer_config.json", {})
        lower = config.get("do_lower_case", True) is not False
        strips = config.get("strip_accents")
        if config.get("tokenize_chinese_chars", True) is not True:
            raise InputError(Problem(parts.origin, "expected true", key="tokenize_chinese_chars", value="false"))
        return parts.vocabulary, {
            "lower_case": lower,
            "strip_accents": lower if strips is None else bool(strips),
        }
    place = f"{parts.origin}: tokenizer.json"
    model, normalizer = _part(place, document, "model"), _part(place, document, "normalizer")
    splitter = _part(place, document, "pre_tokenizer")
    needed = (
        ("model.type", model.get("type", "WordPiece"), "WordPiece"),
        ("model.continuing_subword_prefix", model.get("continuing_subword_prefix", "##"), "##"),
        ("normalizer.type", normalizer.get("type"), "BertNormalizer"),
        ("normalizer.clean_text", normalizer.get("clean_text", True), True),
        ("normalizer.handle_chinese_chars", normalizer.get("handle_chinese_chars", True), True),
        ("pre_tokenizer.type", splitter.get("type"), "BertPreTokenizer"),
    )
    problems = [
        Problem(place, f"expected {wanted}: BERT's own tokenizer is the one that is read", key=key, value=str(given))
        for key, given, wanted in needed
        if given != wanted
    ]
    if problems:
        raise InputError(problems)
    lower, strips = normalizer.get("lowercase", True) is True, normalizer.get("strip_accents")
    return _pieces(place, model.get("vocab")), {
        "lower_case": lower,
        "strip_accents": lower if strips is None else strips is True,
        "unknown_token": model.get("unk_token", "[UNK]"),
        "max_word_characters": model.get("max_input_chars_per_word", 100),
    }


def _part(place: str, document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise InputError(Problem(place, "expected a tokenizer of BERT's kind, which has this part", key=key))
    return value


def _pieces(place: str, vocabulary: Any) -> tuple[str, ...]:
    expected = "expected word pieces with the ids 0, 1, 2, ..."
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise InputError(Problem(place, expected, key="model.vocab"))
    if any(type(number) is not int for number in vocabulary.values()):
        raise InputError(Problem(place, expected, key="model.vocab"))
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)
    if [vocabulary[piece] for piece in ordered] != list(range(len(ordered))):
        raise InputError(Problem(place, expected, key="model.vocab"))
    return tuple(ordered)
