"""What Transform hands to the model, against scikit-learn and by hand; and that nothing missing makes it fail."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

from modules.features import TextFeature
from modules.features.text import _Part, _weights
from modules.graph_ops import text as text_ops
from modules.training.data import dense_inputs, input_spec
from tests.modules.preprocessing.test_text import oracle_words
from tests.modules.training import catalogue
from tests.modules.training.shared import FEATURES, Built, tiny


def titles(built: Built, split: str) -> list[str]:
    return [row["title"] or "" for row in built.rows[split]]


def dense(built: Built, split: str, name: str, start: int, size: int) -> np.ndarray:
    """A text feature's ids and weights in [start, start + size) as a dense matrix."""
    rows = built.columns(split, [f"{name}/ids", f"{name}/weights"])
    matrix = np.zeros((len(rows), size))
    for at, row in enumerate(rows):
        ids, weights = row[f"{name}/ids"].astype(int), row[f"{name}/weights"]
        assert len(ids) == len(weights) and len(set(ids)) == len(ids)
        inside = (ids >= start) & (ids < start + size)
        matrix[at, ids[inside] - start] = weights[inside]
    return matrix


def vocabulary(built: Built, name: str) -> list[str]:
    return [word.decode() for word in built.transform.vocabulary_by_name(f"{name}_words")]


def usable(price: float | None) -> bool:
    return price is not None and np.isfinite(price) and price >= 0


def buckets(grams: list[str], size: int) -> np.ndarray:
    found = tf.strings.to_hash_bucket_fast(tf.constant(grams), size).numpy()
    assert len(set(found)) == len(found), "n-grams collide: the comparison needs more buckets"
    return found


class TestTextWeights:
    @pytest.mark.parametrize("split", ["train", "eval"])
    def test_tfidf_of_words_is_scikit_learns(self, built, split):
        words = vocabulary(built, "title")
        vectorizer = TfidfVectorizer(analyzer=oracle_words, vocabulary=words)
        vectorizer.fit(titles(built, "train"))
        expected = vectorizer.transform(titles(built, split)).toarray()
        np.testing.assert_allclose(dense(built, split, "title", 0, len(words)), expected, atol=1e-5)

    @pytest.mark.parametrize("split", ["train", "eval"])
    def test_sublinear_scaled_words_beyond_the_vocabulary_are_left_out(self, built, split):
        words = vocabulary(built, "grams")
        assert len(words) == FEATURES["grams"]["vocabulary"]
        vectorizer = TfidfVectorizer(analyzer=oracle_words, vocabulary=words, sublinear_tf=True)
        vectorizer.fit(titles(built, "train"))
        expected = 3.0 * vectorizer.transform(titles(built, split)).toarray()
        np.testing.assert_allclose(dense(built, split, "grams", 0, len(words)), expected, atol=1e-5)

    def test_vocabulary_holds_the_most_frequent_words(self, built):
        counts = Counter(word for title in titles(built, "train") for word in oracle_words(title))
        kept = vocabulary(built, "grams")
        least = min(counts[word] for word in kept)
        assert all(word in kept for word, count in counts.items() if count > least)

    @pytest.mark.parametrize("split", ["train", "eval"])
    def test_hashed_word_ngrams_are_scikit_learns(self, built, split):
        counter = CountVectorizer(tokenizer=oracle_words, token_pattern=None, lowercase=False, ngram_range=(2, 3)).fit(
            titles(built, "train") + titles(built, "eval")
        )
        columns = buckets(list(counter.get_feature_names_out()), 2**20)
        weights = TfidfTransformer(sublinear_tf=True).fit(counter.transform(titles(built, "train")))
        expected = 3.0 * weights.transform(counter.transform(titles(built, split))).toarray()
        found = dense(built, split, "grams", FEATURES["grams"]["vocabulary"], 2**20)
        np.testing.assert_allclose(found[:, columns], expected, atol=1e-5)
        assert np.count_nonzero(found) == np.count_nonzero(expected)

    @pytest.mark.parametrize("split", ["train", "eval"])
    def test_hashed_characters_are_scikit_learns_char_wb(self, built, split):
        counter = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5)).fit(titles(built, "train"))
        analyze = counter.build_analyzer()
        size = FEATURES["title"]["characters"]["buckets"]

        def counted(split):
            # Collisions are meant to happen in few buckets: counts of colliding n-grams add up.
            rows = [
                [int(b) for b in tf.strings.to_hash_bucket_fast(tf.constant(grams, tf.string), size).numpy()]
                for grams in (analyze(" ".join(oracle_words(title))) for title in titles(built, split))
            ]
            matrix = np.zeros((len(rows), size))
            for at, row in enumerate(rows):
                np.add.at(matrix[at], row, 1.0)
            return matrix

        expected = TfidfTransformer().fit(counted("train")).transform(counted(split)).toarray()
        found = dense(built, split, "title", FEATURES["title"]["vocabulary"], size)
        np.testing.assert_allclose(found, expected, atol=1e-5)

    @pytest.mark.parametrize(
        ("changes", "weigh"),
        [
            ({"weights": "count"}, lambda counts: counts),
            ({"weights": "count", "sublinear": True}, lambda counts: np.where(counts > 0, 1 + np.log(counts), 0)),
            ({"weights": "binary", "scale": 2.0}, lambda counts: 2.0 * (counts > 0)),
        ],
    )
    def test_other_weights_of_the_asked_length(self, changes, weigh):
        rows = [[0, 0, 0, 2], [], [1, 2, 2, -1], [-1]]
        distinct, ids = text_ops.counted(tf.ragged.constant(rows, tf.int64, ragged_rank=1), 3)
        weights = _weights(_Part(3, distinct, ids), TextFeature(**changes), None)
        counts = np.array([[row.count(i) for i in range(3)] for row in rows], float)
        with np.errstate(divide="ignore"):
            expected = weigh(np.where(counts > 0, counts, np.nan))
        expected = np.nan_to_num(expected)
        lengths = np.linalg.norm(expected, axis=1, keepdims=True)
        expected = changes.get("scale", 1.0) * expected / np.where(lengths > 0, lengths, 1.0)
        found = distinct.with_values(weights).to_list()
        assert distinct.to_list() == [[0, 2], [], [1, 2], []]
        for at, row in enumerate(distinct.to_list()):
            np.testing.assert_allclose(found[at], expected[at][row], atol=1e-6)

    def test_sequences_keep_the_order_and_are_cut(self, built):
        words = vocabulary(built, "ordered")
        rows = built.columns("eval", ["ordered/tokens"])
        for row, title in zip(rows, titles(built, "eval"), strict=True):
            ids = [words.index(word) + 2 if word in words else 1 for word in oracle_words(title)][:3]
            assert row["ordered/tokens"].tolist() == ids

    def test_ids_stay_below_the_size_that_models_are_built_with(self, built):
        for name in ("title", "grams", "description"):
            ids = np.concatenate([row[f"{name}/ids"] for row in built.columns("train", [f"{name}/ids"])])
            assert ids.size == 0 or (ids.min() >= 0 and ids.max() < built.workflow.features[name].size)


class TestCategorical:
    def test_missing_is_0_unknown_is_1_known_from_2(self, built):
        values = [value.decode() for value in built.transform.vocabulary_by_name("brand_values")]
        assert len(values) == 2 and set(values) < {"brand0", "brand1", "brand2"}
        for split in ("train", "eval"):
            for row, raw in zip(built.columns(split, ["brand/index"]), built.rows[split], strict=True):
                value = (raw["brand"] or "").strip().lower()
                expected = 0 if not value else (values.index(value) + 2 if value in values else 1)
                assert row["brand/index"].tolist() == [expected]

    def test_a_column_that_is_always_missing(self, built):
        assert all(row["size/index"].tolist() == [0] for row in built.columns("train", ["size/index"]))


class TestNumbers:
    def test_dense_vectors_and_those_of_another_length_or_not_finite(self, built):
        for row, raw in zip(built.columns("train", ["image/vector"]), built.rows["train"], strict=True):
            vector = raw["image_vector"]
            if vector is None or len(vector) != 4 or not np.isfinite(vector).all():
                assert row["image/vector"].tolist() == [0.0] * 5
            else:
                np.testing.assert_allclose(row["image/vector"], [*vector, 1.0], rtol=1e-6)

    def test_price_is_logged_and_standardised(self, built):
        known = {i: r["price"] for i, r in enumerate(built.rows["train"]) if usable(r["price"])}
        logs = np.log1p(list(known.values()))
        rows = built.columns("train", ["price/price"])
        for at, row in enumerate(rows):
            if at in known:
                expected = [(np.log1p(known[at]) - logs.mean()) / logs.std(), 1.0]
                np.testing.assert_allclose(row["price/price"], expected, atol=1e-4)
            else:
                assert row["price/price"].tolist() == [0.0, 0.0]

    def test_a_price_column_without_any_price(self, tmp_path):
        rows = [{**row, "price": None} for row in catalogue.products(20, 1)]
        settings = tiny(("price",))
        transform, files = catalogue.transformed(tmp_path, settings, {"train": rows})
        data = Built(tmp_path, settings, tft.TFTransformOutput(transform), files, {"train": rows})
        assert [row["price/price"].tolist() for row in data.columns("train", ["price/price"])] == [[0.0, 0.0]] * 20

    def test_a_number_is_standardised_and_put_into_quantiles(self, built):
        known = np.array([row["rating"] for row in built.rows["train"] if row["rating"] is not None])
        scale = FEATURES["rating"]["scale"]
        buckets = []
        for split in ("train", "eval"):
            for row, raw in zip(built.columns(split, ["rating/number"]), built.rows[split], strict=True):
                value, *one_hot, flag = row["rating/number"].tolist()
                if raw["rating"] is None:
                    assert (value, one_hot, flag) == (0.0, [0.0] * 4, 0.0)
                    continue
                assert value == pytest.approx(scale * (raw["rating"] - known.mean()) / known.std(), abs=1e-4)
                assert flag == 1.0 and sorted(one_hot) == pytest.approx([0.0, 0.0, 0.0, scale])
                buckets.append((raw["rating"], one_hot.index(max(one_hot))))
        ordered = [bucket for _, bucket in sorted(buckets)]
        assert ordered == sorted(ordered), "a larger number is in no lower bucket"
        assert all(0.1 < ordered.count(bucket) / len(ordered) < 0.4 for bucket in range(4))

    @pytest.mark.parametrize("number", [None, 7.0])
    def test_a_number_column_of_nothing_or_of_one_value(self, tmp_path, number):
        rows = [{**row, "rating": number} for row in catalogue.products(20, 1)]
        settings = tiny(("rating",))
        transform, files = catalogue.transformed(tmp_path, settings, {"train": rows})
        output = tft.TFTransformOutput(transform)
        data = Built(tmp_path, settings, output, files, {"train": rows})
        for row in data.columns("train", ["rating/number"]):
            value, *one_hot, flag = row["rating/number"].tolist()
            expected = (0.0, 0.0, 0.0) if number is None else (0.0, FEATURES["rating"]["scale"], 1.0)
            assert (value, sum(one_hot), flag) == pytest.approx(expected)
        layer = output.transform_features_layer()
        odd = [{"id": "x", "rating": value} for value in (float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 0.0)]
        raw = tf.io.parse_example([catalogue.raw_example(row) for row in odd], {"rating": catalogue.RAW_SPEC["rating"]})
        spec = {
            k: tf.io.parse_example([b""] * 6, {k: v})[k]
            for k, v in catalogue.RAW_SPEC.items()
            if "/" not in k and k != "id"
        }
        served = layer({**spec, **raw})["rating/number"].numpy()
        assert np.isfinite(served).all() and (np.abs(served) <= 5.0 * FEATURES["rating"]["scale"]).all()
        assert not served[:3].any() and (served[3:, -1] == 1.0).all()


class TestServing:
    """The same graph, applied to raw examples as a server does."""

    def transformed(self, built: Built, examples: list[bytes]) -> dict[str, np.ndarray]:
        layer = built.transform.transform_features_layer()
        spec = {k: v for k, v in built.transform.raw_feature_spec().items() if not k.startswith(("label", "id"))}
        outputs = layer(tf.io.parse_example(tf.constant(examples), spec))
        return {k: v.numpy() for k, v in dense_inputs(outputs, built.workflow.features).items()}

    def test_gives_what_training_read(self, built):
        served = self.transformed(built, built.raw("eval"))
        records = tf.data.TFRecordDataset(built.files["eval"], compression_type="GZIP").batch(1000)
        parsed = tf.io.parse_example(next(iter(records)), input_spec(built.workflow.features))
        trained = dense_inputs(parsed, built.workflow.features)
        assert set(served) == set(trained)
        for name, value in trained.items():
            # One unit in the last place: a logarithm in a vector register and one in the rest of a batch.
            np.testing.assert_allclose(served[name], value.numpy(), rtol=1e-6, err_msg=name)

    def test_products_with_any_feature_missing(self, built):
        full = {"id": "x", "title": "boot", "brand": "brand1", "price": 5.0, "image_vector": [1.0, 2.0, 3.0, 4.0]}
        some = [{k: v for k, v in full.items() if k != left_out} for left_out in full]
        served = self.transformed(built, [catalogue.raw_example(row) for row in [{}, *some]])
        assert all(np.isfinite(value).all() for value in served.values())
        assert (served["title/ids"][0] == -1).all() and served["brand/index"].tolist()[0] == 0
        assert served["ordered/tokens"].tolist()[0] == [0]

    @given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
    @settings(deadline=None, max_examples=15)
    def test_hostile_bytes_in_every_column(self, built, values):
        examples = []
        for value in values:
            names = ("title", "brand", "size", "description")
            feature = {n: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for n in names}
            examples.append(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
        served = self.transformed(built, examples)
        assert all(len(value) == len(values) and np.isfinite(value).all() for value in served.values())
