"""Texts to vectors, beside Hugging Face's tokenizer and ONNX Runtime."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from modules.encoders.check_sentences import SENTENCES
from modules.encoders.folder import EncoderFolder
from modules.encoders.text_encoder import TextEncoder
from modules.encoders.wordpiece import WordPieces
from tests.encoder_packages import onnx_bytes, tokenizer_document
from tests.encoders import PIECES, tiny_content, tiny_settings

HARD = (
    "x" * 100, "x" * 101, "é" * 100, "é" * 101, "a" * 60 + "ß" * 60, "x" * 5000 + "!y", "a\x00b\u200dc\ufeff d\u0085e",
    "ΟΔΟΣ ΣΑΣ", "İstanbul I", "ﬁn ①½", "한국어 텍스트", "a\u0301\u0302b", "x-y_z", "\u3000full\u3000width", "ÅÆØ",
    "मराठी कपड़े", "ไทย เสื้อ", "\ue000private", "𠀀𝒳", "»«‹›¿", "\ufffd", "##ing", "[sep]", "İ", "ǅ", "ﷺ",
)  # fmt: skip


def hugging_face(encoder: EncoderFolder) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(tokenizer_document(encoder)))


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text).ids
    return ids if len(ids) > 2 else []  # a blank text has no vector, and so no pieces


CASES = {
    "uncased": {},
    "cased": {"lower_case": False, "strip_accents": False},
    "accents stay": {"strip_accents": False},
}


@pytest.fixture(scope="module", params=CASES)
def tokenizers(request: pytest.FixtureRequest) -> tuple[WordPieces, Tokenizer]:
    chosen = tiny_settings(positions=8192, max_tokens=8192, **CASES[request.param])
    encoder = EncoderFolder(chosen, PIECES, {}, None)
    return WordPieces(PIECES, chosen), hugging_face(encoder)


def test_hard_texts_have_hugging_faces_pieces(tokenizers: tuple[WordPieces, Tokenizer]) -> None:
    ours, theirs = tokenizers
    texts = [*SENTENCES, *HARD]
    assert ours(tf.constant(texts)).to_list() == [ids_of(theirs, text) for text in texts]


def is_newer(text: str) -> bool:
    """Whether tables of different versions of Unicode read it differently: Hugging Face's are from before Unicode 9."""
    normalizer = BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=True, lowercase=True)

    def differs(char: str, kind: str) -> bool:
        if kind in {"Mn", "Mc", "Me", "Cf"}:
            return (normalizer.normalize_str(char) == "") != (kind in {"Mn", "Cf"})
        is_apart = len(BertPreTokenizer().pre_tokenize_str(f"0{char}")) > 1
        return kind[0] in "PS" and is_apart != (kind[0] == "P" or char.isascii())

    return any(differs(char, unicodedata.category(char)) for char in unicodedata.normalize("NFD", text))


def is_outside_their_blocks(char: str) -> bool:
    """Whether it is an ideograph that BERT sets apart (from U+2B820 on) and Hugging Face does not (from U+2B920 on)."""
    return 0x2B820 <= ord(char) < 0x2B920


CHARACTERS = st.characters(exclude_categories=("Cs", "Cn")).filter(
    lambda char: not is_newer(char) and not is_outside_their_blocks(char)
)


@given(st.lists(st.text(CHARACTERS, max_size=40), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_text_has_hugging_faces_pieces(tokenizers: tuple[WordPieces, Tokenizer], texts: Sequence[str]) -> None:
    ours, theirs = tokenizers
    assert ours(tf.constant(texts)).to_list() == [ids_of(theirs, text) for text in texts]


@given(st.lists(st.binary(max_size=60), max_size=5))
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_no_text_are_read_without_what_is_not_utf8(
    tokenizers: tuple[WordPieces, Tokenizer], texts: list[bytes]
) -> None:
    ours, theirs = tokenizers
    wanted = [ids_of(theirs, text.decode("utf-8", "replace")) for text in texts]
    assert ours(tf.constant(texts, tf.string)).to_list() == wanted


def of_onnx(encoder: EncoderFolder, texts: Sequence[str]) -> np.ndarray:
    session = onnxruntime.InferenceSession(onnx_bytes(encoder))
    tokenizer = hugging_face(encoder)
    tokenizer.enable_truncation(encoder.settings.max_tokens)
    vectors = np.zeros((len(texts), encoder.settings.width), np.float32)
    for row, text in enumerate(texts):
        if not ids_of(tokenizer, text):
            continue
        ids = np.array([tokenizer.encode(encoder.settings.prefix + text).ids], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (outputs,) = session.run(None, inputs)
        pooled = outputs[0, 0] if encoder.settings.pooling == "cls" else outputs[0].mean(axis=0)
        vectors[row] = pooled / np.linalg.norm(pooled)
    return vectors


@pytest.mark.parametrize("changes", [{}, {"pooling": "cls"}, {"prefix": "query: "}, {"max_tokens": 64}])
def test_vectors_are_onnx_runtimes(changes: dict[str, object]) -> None:
    encoder = tiny_content(1, **changes)
    texts = [*SENTENCES, "red shoes", "red shoes " * 100, "   ", "\u200b"]
    vectors = TextEncoder(encoder)(tf.constant(texts)).numpy()
    wanted = of_onnx(encoder, texts)
    blank = [text.strip("\u200b ") == "" for text in texts]
    assert not vectors[blank].any() and not wanted[blank].any() and sum(blank) == 3
    # GELU by tanh is not GELU by the error function: a random network shows it more than a trained one.
    assert ((vectors * wanted).sum(axis=1)[~np.array(blank)] > 0.9999).all()


@given(st.lists(st.text(max_size=30).filter(lambda text: text.isprintable()), max_size=6))
@settings(max_examples=30, deadline=None)
def test_a_texts_vector_does_not_depend_on_the_others(encoder: TextEncoder, texts: list[str]) -> None:
    together = encoder(tf.constant(texts, tf.string)).numpy()
    assert together.shape == (len(texts), 16) and together.dtype == np.float32
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder(tf.constant([text])).numpy()[0], vector, atol=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(float(bool(encoder.tokenize([text]).values.shape[0])), abs=1e-5)


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(tiny_content())


def test_an_exported_model_holds_it_for_both_loaders(encoder: TextEncoder, tmp_path: Path) -> None:
    texts = ["red shoes", "", "Größe 43"]
    wanted = encoder(tf.constant(texts)).numpy()
    archive = keras.export.ExportArchive()
    archive.track(encoder.backbone)
    signature = [tf.TensorSpec([None], tf.string, name="texts")]
    archive.add_endpoint("serving_default", lambda texts: {"vectors": encoder(texts)}, input_signature=signature)
    archive.write_out(str(tmp_path / "model"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    np.testing.assert_allclose(served(texts=tf.constant(texts))["vectors"].numpy(), wanted, atol=1e-6)
    # RunInference loads models in this way, and initialises no table.
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "model"))
        form = loaded.signature_def["serving_default"]
        vectors = session.run(form.outputs["vectors"].name, {form.inputs["texts"].name: texts})
    np.testing.assert_allclose(vectors, wanted, atol=1e-6)


def test_nothing_of_it_is_trained(encoder: TextEncoder) -> None:
    assert not encoder.trainable_variables and encoder.backbone.variables
