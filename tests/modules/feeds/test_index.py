"""Duplicates and leaks against a dictionary that remembers everything."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from modules.feeds.index import ROW, IndexWriter, by_title, examine, leaks, title_hash

ROWS = st.lists(st.tuples(st.integers(0, 12).map(str), st.sampled_from(["", "Red", "red!", "Blue"]), st.integers(0, 2)))


@given(rows=ROWS, tasks=st.integers(1, 3), partitions=st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_the_first_in_file_and_line_order_is_kept(
    rows: list[tuple[str, str, int]], tasks: int, partitions: int
) -> None:
    # Files are dealt out to tasks; each task numbers its signatures on its own.
    writers = [IndexWriter(task, partitions, titles=True) for task in range(tasks)]
    places = []
    for i, (product, title, split) in enumerate(rows):
        file, line = i % 5, 1 + i // 5
        places.append((file, line, product, title, split, file % tasks))
        writers[file % tasks].add(product, title, file, line, split, split, 7, i)
    chunks: dict[int, list[bytes]] = {}
    for writer in writers:
        for partition, chunk in writer.take():
            chunks.setdefault(partition, []).append(chunk)
        assert not list(writer.take())

    first: dict[str, tuple[int, int]] = {}
    duplicates, counts, splits = {}, Counter(), {}
    for file, line, product, title, split, task in sorted(places):
        if product in first:
            duplicates[file, line] = first[product]
            continue
        first[product] = file, line
        counts[task, split] += 1
        if title:
            splits.setdefault(title.lower().strip("!"), set()).add(split)

    found, found_counts, by_partition = {}, Counter(), {}
    for chunk in chunks.values():
        part = examine(chunk)
        for row, origin in zip(part.duplicates, part.first.tolist(), strict=True):
            found[int(row["file"]), int(row["line"])] = tuple(origin)
            assert row["shard"] == 7 and row["position"] == row["file"] + 5 * (row["line"] - 1)
        for task, signature, number in part.counts:
            found_counts[task, signature] += number
        for partition, pairs in by_title(part.titles, partitions):
            by_partition.setdefault(partition, []).append(pairs)
    assert found == duplicates
    assert found_counts == counts
    assert sum(map(leaks, by_partition.values())) == sum(len(found) > 1 for found in splits.values())


def test_rows_travel_in_pieces() -> None:
    writer = IndexWriter(0, 1, titles=False)
    for i in range(100):
        writer.add(str(i), "t", 0, i, 0, 0, 0, i)
    assert not list(writer.take(minimum=100 * ROW.itemsize))
    ((_, chunk),) = writer.take(minimum=99 * ROW.itemsize)
    assert len(chunk) == 100 * ROW.itemsize
    assert examine([chunk]).titles == b""


def test_titles_without_letters_are_none() -> None:
    assert title_hash("") == title_hash("!?") == 0
    assert title_hash("Red") == title_hash("RED.") != title_hash("blue")
