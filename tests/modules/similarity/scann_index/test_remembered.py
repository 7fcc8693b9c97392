"""What a restriction means is remembered, the last used ones, within bounds of memory."""

from __future__ import annotations

import pytest

from modules.similarity.items import Restriction
from modules.similarity.scann_index import restricted
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.restricted import Restricted
from modules.similarity.scann_index.settings import ScannSettings
from tests.modules.similarity.shops import shop

ROWS = 300


@pytest.mark.parametrize(("memory", "most", "kept"), [(0, 256, 8), (12 * ROWS, 256, 12), (1 << 30, 15, 15)])
def test_the_last_used_restrictions_are_kept(
    monkeypatch: pytest.MonkeyPatch, memory: int, most: int, kept: int
) -> None:
    monkeypatch.setattr(restricted, "_KEPT_BYTES", memory)
    monkeypatch.setattr(restricted, "_MOST", most)
    index = ScannIndex.build(shop(ROWS), ScannSettings())
    some = [Restriction(price_from=float(i)) for i in range(20)]
    found = Restricted(index)
    first = found.wanted(some[0])
    for one in some:
        wanted = found.wanted(one)
        assert wanted is not None and (wanted.mask == one.mask(index.rows.table)).all()
        # Asked for again and again, it stays.
        assert found.wanted(some[0]) is first
    assert list(found._known) == [*some[len(some) - kept + 1 :], some[0]]
    found.forget()
    assert found.wanted(some[0]) is not first
