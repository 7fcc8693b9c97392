"""The text features of a workflow that names none, and of one that ``init`` writes."""

import csv
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from modules.features import OWN_FIELDS, default_features
from modules.features.default import TEXTS, text_features
from modules.features.text import TextFeature
from modules.settings.workflow import Workflow
from pipeline.init import detect, write_workflow
from pipeline.workflow_file import load_workflow

FIELDS = st.sets(st.sampled_from(TEXTS))


@given(fields=FIELDS, long=FIELDS, further=st.lists(st.sampled_from(["material", "style"]), unique=True))
def test_every_text_is_read_and_nothing_else(fields: set[str], long: set[str], further: list[str]) -> None:
    features = text_features(fields, long=long, further=further)
    read = [set(feature.columns_of(name)) for name, feature in features.items()]
    assert set().union(*read) == fields | set(further)
    if len(fields) + len(further) > 1:
        assert fields | set(further) in read, "no feature reads all of them as one text"
    for name, feature in features.items():
        if feature.characters is not None:
            assert long.isdisjoint(feature.columns_of(name)), "runs of characters of a long text"
    for field in fields - long:
        assert any(
            feature.characters is not None and field in feature.columns_of(name) for name, feature in features.items()
        )


@given(fields=st.sets(st.sampled_from(OWN_FIELDS), min_size=1))
def test_columns_that_a_feed_lacks_are_not_read(fields: set[str]) -> None:
    mapping = {field: None for field in OWN_FIELDS if field not in fields}
    workflow = Workflow.model_validate({"name": "shop", "feed": {"fields": mapping}})
    assert workflow.features == default_features(fields)
    read = {column for name, feature in workflow.features.items() for column in feature.columns_of(name)}
    assert read == fields


def test_a_workflow_without_features_has_what_init_writes(tmp_path: Path) -> None:
    long = "A knitted garment with long sleeves and a round neck, for cold days in town or in the hills. " * 2
    with (tmp_path / "feed.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "description", "brand", "category"])
        for number in range(5000):
            name = ["pullover", "cardigan"][number % 2]
            brand = f"maker{number % 17}"
            writer.writerow(
                [number, f"{brand} warm {name} number {number}", f"{name} {number} {long}", brand, f"Knits > {name}"]
            )
    written = load_workflow(write_workflow(detect([tmp_path / "feed.csv"]), tmp_path, "shop")[0]).workflow
    texts = {name: feature for name, feature in written.features.items() if isinstance(feature, TextFeature)}
    fields = [field for field in TEXTS if any(field in f.columns_of(n) for n, f in texts.items())]
    assert len(fields) >= 3
    assert texts == default_features(fields)
