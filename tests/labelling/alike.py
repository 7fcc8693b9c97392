"""A small shop with pictures, its indexes, and people's triplets to judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labelling.content import Product
from labelling.store import Store, importing
from labelling.store.triplets import add_questions
from modules.similarity.catalogue import Catalogue
from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity_quality.triplets import Question
from tests.api.models import picture
from tests.api.shops import items, write
from tests.labelling.shop import NOW

COUNT = 60
METHODS = {"joint": "embedding", "image": "embedding_image", "text": "embedding_text"}


def titles(special: list[str] | None = None) -> list[str]:
    """Words that many products share, so that full text finds some."""
    words = ("red", "suede", "boots", "leather", "tote", "wide")
    made = [f"{words[i % 6]} {words[i % 5]} {words[i % 4]} no. {i}" for i in range(COUNT)]
    return [*(special or ()), *made][:COUNT]


def write_indexes(folder: Path, seed: int = 0, special: list[str] | None = None) -> Path:
    """Exact indexes by joint, image and text embedding, and one of title words."""
    write(folder, COUNT, seed, METHODS.values(), titles=titles(special))
    some = items(COUNT, seed, titles=titles(special))
    FullTextIndex.build(some, FullTextSettings(by="title", rank="engine")).save(folder / "title")
    return folder


def fill(store: Store, folder: Path, questions: int = 0, special: list[str] | None = None) -> None:
    """Products with pictures in ``folder``, and triplets to judge."""
    names = titles(special)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for i in range(COUNT):
        (folder / f"{i}.png").write_bytes(picture((4 * i, 200 - 3 * i, 90), size=(40, 30)))
        made.append(Product(f"p{i}", {"title": names[i], "retailer": "acme"}, f"{i}.png", str(folder)))
    with store.write() as connection:
        importing.products(connection, made, None, NOW)
        asked = [Question(f"p{i + 1}", f"p{i + 11}", f"p{i + 21}", ("image", "text")) for i in range(questions)]
        add_questions(connection, asked, NOW, 3)


def nearest(folder: Path, method: str, name: str, k: int, category: str | None = None) -> list[str]:
    """Ids by a plain sort of all cosines."""
    catalogue = Catalogue.open(folder)
    vectors = np.load(folder / method / "vectors.npy").astype(np.float64)
    ids = [f"p{i}" for i in range(COUNT)]
    order = np.argsort(-(vectors @ vectors[ids.index(name)]), kind="stable")
    shown = [catalogue.product(ids[i]) for i in order if vectors[i].any()]
    return [
        one.id
        for one in shown
        if one is not None and one.id != name and (category is None or (one.category or "").startswith(category))
    ][:k]
