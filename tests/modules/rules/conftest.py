from __future__ import annotations

import pytest

from modules.taxonomy import Taxonomy


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    return Taxonomy.from_paths(
        ["Shoes > Boots > Chelsea", "Shoes > Sandals", "Clothing > Women's > Shorts", "Clothing > Men's > Shorts"]
    )
