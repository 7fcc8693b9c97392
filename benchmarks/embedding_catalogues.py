"""The catalogues whose products the embeddings are compared on, and the settings that each embedding is learnt by."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.image_models import feed_of
from pipeline.workflow_file import REPOSITORY

PREFIX = "embedding-quality"
Settings = dict[str, Any]
Figure = tuple[str, str]
"""Proxy and figure, as modules.similarity_quality names them."""


@dataclass(frozen=True)
class Catalogue:
    """A catalogue to compare embeddings on.

    Attributes:
      folder: below CATALOGUES. feed: writes a feed with at most so many products: (folder, target, most).
      base: the workflow's settings that its embeddings share. variants: of a number of epochs, the name of each
        embedding to the sections that it has for itself; the first is what the others are compared with.
      figures: columns of the table; differences are shown of the first two.
      epochs: of every network.
      encoded: of an encoder's name, embeddings that need no network, with and without it; None: nothing has a text.
    """

    folder: str
    feed: Callable[[Path, Path, int | None], None]
    base: Settings
    variants: Callable[[int], dict[str, Settings]]
    figures: tuple[Figure, ...]
    epochs: int
    cluster: str | None = None
    link: str | None = None
    encoded: Callable[[str], dict[str, Settings]] | None = None


def picture_variants(size: list[int], patches: Settings) -> Callable[[int], dict[str, Settings]]:
    """Embeddings of pictures by a small network of this size, and by ``patches``, a feature of its own."""

    def variants(epochs: int) -> dict[str, Settings]:
        network = {"picture": {"kind": "image", "size": size, "backbone": "small_cnn"}}
        labels: Settings = {"image_start": {"epochs": epochs, "small_epochs": epochs * 2 // 3}}
        no_labels: Settings = {"image_start": {"epochs": 0}}
        simclr: Settings = {"self_supervised": {"epochs": epochs}}
        learnt: dict[str, Settings] = {
            "classifier": labels,
            "classifier, supervised contrastive": labels | {"metric_learning": {"kind": "supervised_contrastive"}},
            "classifier, triplet": labels | {"metric_learning": {"kind": "triplet"}},
            "self-supervised (SimCLR)": no_labels | simclr,
            "self-supervised, then classifier": labels | simclr,
            "untrained network": no_labels,
        }
        exact = {"solver": "liblinear", "refit_on_eval": False, "checkpoint": False}
        found = {name: {"features": network, "training": exact | training} for name, training in learnt.items()}
        shown = "{} x {}".format(*patches["size"])
        return {**found, f"patches, {shown} pixels": {"features": {"picture": patches}, "training": exact}}

    return variants


def title_variants(epochs: int) -> dict[str, Settings]:
    """Embeddings of titles: learnt from leaves or from clusters, and without labels."""
    adam = {"epochs": epochs, "patience": 0, "batch_size": 256, "refit_on_eval": False, "checkpoint": False}
    metric = {"metric_learning": {"kind": "supervised_contrastive"}}
    clusters = {"name": f"{PREFIX}-pricerunner-clusters", "feed": {"fields": {"truth": "extra.cluster_id"}}}
    svd = closed_form({"kind": "lsa", "embedding_width": 256})
    return {
        "classifier (leaves)": {"training": adam},
        "classifier (leaves), supervised contrastive": {"training": adam | metric},
        "classifier (leaves), triplet": {"training": adam | {"metric_learning": {"kind": "triplet"}}},
        "classifier of clusters": {**clusters, "training": adam},
        "classifier of clusters, supervised contrastive": {**clusters, "training": adam | metric},
        "TF-IDF and SVD (no labels)": svd,
    }


def closed_form(model: Settings) -> Settings:
    return {
        "model": model,
        "objectives": {"exclusive": {"kind": "exclusive", "loss": "squared_hinge"}},
        "training": {"solver": "liblinear", "refit_on_eval": False},
    }


def encoded_variants(encoder: str) -> dict[str, Settings]:
    """Embeddings of titles by words and characters, by an encoder, and by both."""
    # Heads are no part of these embeddings: one value of C will do.
    heads = {"training": {"solver": "liblinear", "refit_on_eval": False, "liblinear_c": 1.0}}
    lsa, linear = (closed_form({"kind": kind}) | heads for kind in ("lsa", "linear"))

    def meaning(scale: float) -> Settings:
        return {"meaning": {"kind": "encoded", "column": "title", "encoder": encoder, "scale": scale}}

    return {
        "TF-IDF and SVD": {"features": TITLE} | lsa,
        encoder: {"features": meaning(1.0)} | lsa,
        f"TF-IDF and SVD beside {encoder}, 1:1": {"features": TITLE | meaning(1.0)} | lsa,
        f"TF-IDF and SVD beside {encoder}, 1:0.5": {"features": TITLE | meaning(0.5)} | lsa,
        f"linear: random projection of words and {encoder}": {"features": TITLE | meaning(1.0)} | linear,
    }


def lines_of(path: Path) -> list[Settings]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write(products: Iterable[Settings], target: Path) -> None:
    with gzip.open(target / "products.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(product) + "\n" for product in products)


def share(text: str) -> float:
    """A text's place in [0, 1), by its hash."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def fashion_feed(folder: Path, target: Path, most: int | None) -> None:
    feed_of(folder, target)
    write(lines_of(target / "products.jsonl.gz")[:most], target)


def pricerunner_feed(folder: Path, target: Path, most: int | None) -> None:
    """A fifth of the clusters for testing; a tenth of the other products, whatever their cluster, is eval."""
    products = lines_of(folder / "products.jsonl.gz")[:most]
    for one in products:
        rest = "eval" if share(f"product {one['id']}") < 0.1 else "train"
        one["extra"]["split"] = "test" if share(f"cluster {one['extra']['cluster_id']}") < 0.2 else rest
    write(products, target)


def grocery_feed(folder: Path, target: Path, most: int | None) -> None:
    photos = lines_of(folder / "natural_images.jsonl.gz")[:most]
    for one in photos:
        one["extra"]["split"] = {"val": "eval"}.get(one["extra"]["split"], one["extra"]["split"])
    products = lines_of(folder / "products.jsonl")
    for one in products:
        one["extra"]["split"] = "test"
    write([*products, *photos], target)
    shutil.copytree(folder / "images", target / "images")


SHIPPED = yaml.safe_load((REPOSITORY / "workflows" / "fashion_product_images_small.yaml").read_text())
EXACT = {"model": {"kind": "linear"}, "objectives": {"exclusive": {"kind": "exclusive", "loss": "squared_hinge"}}}
OWN_SPLIT: Settings = {
    "feed": {"files": ["products.jsonl.gz"], "split": {"column": "extra.split"}},
    "taxonomy": {"from_truth": True},
    "labels": {"truth": {"evaluate": True}},
    "validation": {"stop_on_anomalies": False},
}
ABSENT = ("raw_category", "description", "brand", "price", "currency", "gender", "size", "color", "url", "availability")
"""Product fields that no feature of the last two catalogues reads."""


def merged(*parts: Settings) -> Settings:
    """Later parts win; features, model, training and objectives as a whole, other mappings key by key."""
    found: Settings = {}
    for part in parts:
        for key, value in part.items():
            whole = key in ("features", "model", "training", "objectives") or not isinstance(value, dict)
            found[key] = value if whole else merged(found.get(key) or {}, value)
    return found


def fields(**own: str | None) -> Settings:
    return {"feed": {"fields": {**dict.fromkeys(ABSENT), "truth": "category_path", **own}}}


TITLE = {
    "title": {
        "kind": "text", "vocabulary": 20000,
        "word_ngrams": {"ngrams": [2, 2], "buckets": 65536}, "characters": {"ngrams": [2, 5], "buckets": 65536},
    }
}  # fmt: skip
DEEP = {"features": TITLE, "model": {"kind": "deep", "hidden": [256]}, "prediction": {"batch_size": 512}}
CATALOGUES = {
    "fashion": Catalogue(
        "fashion_product_images_small",
        fashion_feed,
        merged({key: value for key, value in SHIPPED.items() if key != "evaluation"}, EXACT),
        picture_variants([60, 45], SHIPPED["features"]["picture"]),
        (("same leaf", "at 1"), ("same leaf", "at 10"), ("same leaf", "at 100")),
        12,
    ),
    "pricerunner": Catalogue(
        "pricerunner",
        pricerunner_feed,
        merged(OWN_SPLIT, fields(image=None), DEEP),
        title_variants,
        (
            ("same cluster", "MAP"), ("same cluster", "recall at 1"), ("same cluster", "R-precision"),
            ("same leaf", "at 1"), ("same leaf", "at 10"),
        ),
        20,
        cluster="extra.cluster_id",
        encoded=encoded_variants,
    ),
    "grocery": Catalogue(
        "grocery_store_mit",
        grocery_feed,
        merged(OWN_SPLIT, fields(title=None), {"feed": {"images": {}}}, EXACT),
        picture_variants([64, 64], {"kind": "image", "size": [64, 64], "backbone": "patches"}),
        (
            ("photo to product", "recall at 1"), ("photo to product", "mean reciprocal rank"),
            ("photo to product", "recall at 5"),
        ),
        45,
        link="extra.catalog_id",
    ),
}  # fmt: skip
