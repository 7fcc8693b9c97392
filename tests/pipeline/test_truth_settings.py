"""Workflow files whose feeds have the true category of products."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.errors import InputError
from pipeline.inputs import taxonomy_of
from pipeline.workflow_file import load_workflow
from tests.pipeline.test_workflow_file import write


def test_a_taxonomy_from_the_truth(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"id": 1, "title": "x", "t": ["Shoes", "Boots"]}\n{"id": 2, "title": "x", "t": ["Shoes"]}\n'
        '{"id": 3, "title": "x", "t": []}\nbroken\n{"id": 4, "title": "x", "t": "Bags/ Totes"}\n'
        '{"id": 5, "title": "x", "t": ["Shoes", "Boots"]}\n'
    )
    text = "name: s\nfeed: {fields: {truth: t}, truth_separator: /, files: [a.jsonl]}\ntaxonomy: {from_truth: true}\n"
    taxonomy = taxonomy_of(load_workflow(write(tmp_path, text)))
    assert [(c.path, c.exclusive) for c in taxonomy] == [
        (("Bags",), False), (("Bags", "Totes"), True), (("Shoes",), True), (("Shoes", "Boots"), True),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["nothing", "exclusive", "rule_based"])
def test_only_an_objective_of_independent_labels_gets_all_truths(tmp_path: Path, name: str) -> None:
    objectives = (
        "objectives:\n  exclusive: {kind: exclusive}\n  rule_based: {kind: multi_label}\n"
        "  also: {kind: multi_label, labels: people}\nrules: {file: rules.yaml}\n"
    )
    text = f"name: s\nfeed: {{fields: {{truth: t}}, truth_paths_separator: '|'}}\n{objectives}"
    truth = "labels: {{truth: {{independent: {}}}}}\n"
    loaded = load_workflow(write(tmp_path, text + truth.format("also")))
    assert loaded.workflow.feed.truth_cells.paths("A > B|C") == (("A", "B"), ("C",))
    with pytest.raises(InputError, match=r"labels\.truth\.independent.*a multi-label objective"):
        load_workflow(write(tmp_path, text + truth.format(name)))


def test_what_stands_between_paths_does_not_stand_between_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="truth_paths_separator.*another text"):
        load_workflow(write(tmp_path, "name: s\nfeed: {truth_separator: '/', truth_paths_separator: '/'}\n"))
