"""Products that came and went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modules.similarity.changes import Rows
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity.items import Items
from modules.similarity.protocol import Index
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import ScannSettings
from tests.modules.similarity.shops import shop

KINDS: dict[str, Callable[[Items], Index]] = {
    "exact": lambda items: ExactIndex.build(items, ExactSettings()),
    "scann": lambda items: ScannIndex.build(items, ScannSettings()),
    "full_text": lambda items: FullTextIndex.build(items, FullTextSettings(by="title", rank="engine")),
}


def test_which_rows_went() -> None:
    rows = Rows(shop(20))
    assert sorted(rows.add(shop(10, seed=3, first=15)).tolist()) == [15, 16, 17, 18, 19]
    assert rows.remove(["p3", "p16", "p3", "nobody"]).tolist() == [3, 21]
    assert np.flatnonzero(~rows.alive).tolist() == [3, *range(15, 20), 21] and len(rows) == 23


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_looked_up_once_for_a_change(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index = KINDS[kind](shop(20))
    looked: list[int] = []
    rows_of = Rows.rows_of

    def spy(self: Rows, ids: Any) -> np.ndarray:
        looked.append(len(ids))
        return rows_of(self, ids)

    monkeypatch.setattr(Rows, "rows_of", spy)
    index.add(shop(10, seed=3, first=15))
    assert index.remove(["p3", "p16", "p3", "nobody"]) == 2
    assert looked == [10, 4] and len(index) == 23
