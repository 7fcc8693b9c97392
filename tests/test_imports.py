"""No module of the product imports one that imports it, directly or by way of others."""

from __future__ import annotations

import graphlib

import grimp

PACKAGES = ("shelfmark", "pipeline", "components", "experiments", "labelling", "api", "publishing", "modules")


def test_no_circle() -> None:
    """Imports inside of functions count; those that only annotations use make no module wait for another."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    assert len(graph.modules) > 400
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    graphlib.TopologicalSorter(imports).prepare()
