"""All guesses about somebody's feed, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modules.category_text import Names
from modules.counting import counted
from modules.errors import InputError, Problem
from modules.examples import NUMBER_FIELDS, PRICE
from modules.feeds.identifiers import ITEM_GROUP
from modules.feeds.prices.reader import count_untold, untold_notes
from modules.feeds.quarantine import Tally
from modules.feeds.sources import Source
from modules.settings.feed import Split
from modules.taxonomy.merging import merge_trees
from pipeline.init.attributes import AttributeGuess, common_attributes, follows, guess_attributes, vector_column
from pipeline.init.categories import (
    CategoryGuess,
    PathNode,
    build_taxonomy,
    gives_away,
    guess_category,
    judge_category,
    minimum_for,
    nearest,
    without_none,
)
from pipeline.init.columns import SampledColumn, summarise
from pipeline.init.fields import (
    ALIASES,
    CATEGORY_ALIASES,
    FieldGuess,
    counts_rows,
    guess_fields,
    in_hundredths,
    name_score,
    split_column,
    tells_categories,
)
from pipeline.init.files import FeedFiles, feed_paths, find_files
from pipeline.init.images import ImageGuess, feed_folder, guess_images, unite_images
from pipeline.init.left_out import left_out_notes
from pipeline.init.retailers import group_files
from pipeline.init.variants import guess_variants

SAMPLE = 20_000
MAX_COUNTED = 1_000_000
LEAK = 0.5
PRICED = 2000
"""Products whose prices are read."""
APART, TREE = 0.02, 0.9
"""Share of the products below which a category without others above or below it may be a mistake, and of those that are
in deeper ones then."""
NO_CATEGORY = "no category column was found"
WRITE_TREE = "write your categories into the taxonomy file, or name a file of them by --taxonomy, then label products"


@dataclass(frozen=True)
class Guess:
    """The format, fields and categories of a feed, as guessed from its products.

    Attributes:
      fields: product fields and their columns (without the true category).
      category: the column to learn from, if there is one.
      nodes: the taxonomy's categories.
      minimum: how many products each of them has at least.
      products: products counted for the taxonomy (all, up to a million).
      vector: (column, length) of vectors that come with the feed.
      attributes: further columns that become attributes, each under a name of its own.
      split: the feed's own split column and what its values mean.
      images: where the images are that a column names.
      unused: columns that were given no field.
      notes: what somebody should know before they trust the result.
      paths: categories as the feed has them, and how many of the counted products each has.
      retailer: whose feed it is, of several.
      source: the settings of the address that the feed came from; None: it is files.
      feeds: of several retailers, the guess of each; all other attributes then say what is true of them together.
    """

    files: FeedFiles
    fields: tuple[FieldGuess, ...]
    category: CategoryGuess | None
    nodes: tuple[PathNode, ...]
    minimum: int
    products: int
    vector: tuple[str, int] | None = None
    split: tuple[str, tuple[tuple[str, Split], ...]] | None = None
    images: ImageGuess | None = None
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    paths: Mapping[Names, int] = field(default_factory=dict)
    retailer: str | None = None
    feeds: tuple[Guess, ...] = ()
    source: Source | None = None
    attributes: tuple[AttributeGuess, ...] = ()

    def mean_characters(self, field_name: str) -> float:
        """Of a value of the product field; of several feeds, where values are longest."""
        guesses = [guess for guess in self.fields if guess.field == field_name]
        own = [guess.characters for guess in guesses] + [feed.mean_characters(field_name) for feed in self.feeds]
        return max(own, default=0.0)

    def column(self, field_name: str) -> str | None:
        """The column of a product field, None where none was found."""
        return next((guess.column for guess in self.fields if guess.field == field_name), None)


def detect(
    feeds: Sequence[Path], category: str | None = None, separator: str | None = None, together: bool = False
) -> Guess:
    """Looks at feed files and guesses how to read them: those of each retailer alone.

    Args:
      feeds: files and folders.
      category: the category column, in place of a guess; with several retailers of those who have it.
      separator: what stands between its names, in place of a guess.
      together: all files are of one retailer.

    Raises:
      InputError: the files cannot be used, or have no column that could be a product's id.
    """
    paths = feed_paths(feeds)
    groups = [] if together else group_files(paths)
    if len(groups) < 2:
        return _detect(paths, category, separator)
    guesses: list[Guess] = []
    problems: list[Problem] = []
    for group in groups:
        try:
            guess = _detect(group.paths, category, separator, feed_folder(paths))
            guesses.append(replace(guess, retailer=group.name))
        except InputError as error:
            problems += error.problems
    if not problems and category is not None and not any(_has_category(guess, category) for guess in guesses):
        problems.append(Problem("--category", "expected a column of one of the feeds", value=category))
    if problems:
        raise InputError(problems)
    return unite(guesses)


def _has_category(guess: Guess, column: str) -> bool:
    return guess.category is not None and guess.category.column == column


def _detect(
    paths: Sequence[Path], category: str | None = None, separator: str | None = None, shared: Path | None = None
) -> Guess:
    """The guess of one feed. Of several it need not have the category column that was named; ``shared`` is then the
    folder that all of them are in."""
    files = find_files(paths)
    tally = Tally(limit=1)
    columns, sample = summarise(files.records(-(-SAMPLE // len(files.paths)), tally))
    if not sample:
        raise InputError(Problem(str(files.paths[0]), "expected products, found no record that can be read"))
    notes = list(files.notes())
    if files.undecodable > 0.001:
        notes.append(
            f"{files.undecodable:.1%} of the lines are no UTF-8 and will be left out; "
            "set the feed's encoding if the files have another one"
        )
    named = None if shared is not None and category not in columns else category
    chosen = _category(columns, sample, named, separator)
    taken = {chosen.column} if chosen else set()
    fields, others = _fields(columns, sample, chosen, taken, notes)
    if "id" not in {guess.field for guess in fields}:
        expected = "expected a column with another value for each product, to be its id"
        hint = f"add one, such as the shop's article numbers; the columns are: {', '.join(list(columns)[:30])}"
        raise InputError(Problem(str(files.paths[0]), expected, hint=hint))
    notes += _id_notes(columns, fields)
    notes += left_out_notes(tally, columns, sample, fields, files.settings)
    if "title" not in {guess.field for guess in fields}:
        notes.append("no title column was found: there is little to learn from")
    vector = vector_column(columns, sample)
    nodes: tuple[PathNode, ...] = ()
    sampled, minimum = len(sample), minimum_for(len(sample))
    _note_numbers(columns, chosen, notes)
    _note_prices(sample, fields, notes)
    counts: Counter[Names] = Counter()
    if chosen is None and shared is None:
        notes.append(f"{NO_CATEGORY}: {WRITE_TREE}")
    elif chosen is not None:
        counts, sampled, several = _count_paths(files, sample, chosen)
        minimum = minimum_for(sampled)
        nodes = tuple(build_taxonomy(counts, minimum))
        _note_writing(chosen, counts, several, notes)
        _note_categories(nodes, counts, sampled, minimum, notes)
    fields += guess_variants(columns, taken | {guess.column for guess in fields})
    split = split_column(columns, taken | {guess.column for guess in fields})
    used = {guess.column for guess in fields} | taken
    used |= {vector.name} if vector else set()
    used |= {split[0]} if split else set()
    item_group = next((guess.column for guess in fields if guess.field == ITEM_GROUP), None)
    attributes, telling = guess_attributes(columns, sample, used, chosen, item_group)
    if telling:
        notes.append(_telling_note(telling))
    used |= {guess.column for guess in attributes}
    images = _images(shared or feed_folder(files.paths), columns, fields, notes)
    unused = tuple(name for name, column in columns.items() if name not in used and column.filled)
    return Guess(
        files, tuple(fields), chosen, nodes, minimum, sampled, (vector.name, vector.vector_length) if vector else None,
        split, images, unused, tuple(notes + others), dict(counts), attributes=attributes,
    )  # fmt: skip


def _id_notes(columns: Mapping[str, SampledColumn], fields: Sequence[FieldGuess]) -> Iterator[str]:
    """What somebody should know of ids that stand in no column of ids: labels belong to them."""
    for guess in fields:
        if guess.field != "id" or name_score(guess.column, ALIASES["id"]):
            continue
        if counts_rows(columns[guess.column]):
            yield (
                f"column {guess.column!r}, the ids, only numbers the rows: labels go to other products as soon as a "
                "row is added or moved; add a column of ids that stay, and name it under fields.id"
            )
        elif any(other.field == "url" and other.column == guess.column for other in fields):
            yield f"there is no column of ids: the addresses in column {guess.column!r} tell products apart"


def _telling_note(columns: Sequence[str]) -> str:
    names = f"{', '.join(map(repr, columns[:5]))}{', ...' if len(columns) > 5 else ''}"
    use = "name under attributes what is known before the category is"
    return f"columns that tell the category to learn are not used: {names}; {use}"


def unite(guesses: Sequence[Guess]) -> Guess:
    """What is true of several retailers' feeds together; the taxonomy is the union of their trees."""
    trees = merge_trees([guess.paths for guess in guesses])
    products = sum(guess.products for guess in guesses)
    minimum = minimum_for(products)
    notes = [f"{guess.retailer}: {note}" for guess in guesses for note in guess.notes] + trees.sentences()
    unlabelled = [guess.retailer or "" for guess in guesses if guess.category is None]
    if len(unlabelled) == len(guesses):
        notes.append(f"{NO_CATEGORY}: {WRITE_TREE}")
    else:
        taught = "label some of its products, which teaches and measures the other feeds' categories there"
        notes += [f"{name}: {NO_CATEGORY}: {taught}" for name in unlabelled]
    notes += _split_notes(guesses)
    fields = {field.field: field for guess in guesses for field in guess.fields}
    lengths = {guess.vector[1] for guess in guesses if guess.vector}
    if len(lengths) > 1:
        shown = " and ".join(map(str, sorted(lengths)))
        notes.append(f"vectors are not used: the feeds' have {shown} numbers, and one model compares none of them")
        guesses = [replace(guess, vector=None) for guess in guesses]
    attributes = common_attributes(guess.attributes for guess in guesses)
    guesses = [
        replace(guess, attributes=tuple(own for own in guess.attributes if own.name in attributes)) for guess in guesses
    ]
    splits = {guess.split for guess in guesses}
    if len(splits) > 1:
        notes.append("the split columns are not used: not every feed has the same one, so titles decide")
        guesses = [replace(guess, split=None) for guess in guesses]
    return replace(
        guesses[0],
        fields=tuple(fields.values()),
        category=next((guess.category for guess in guesses if guess.category), None),
        nodes=tuple(build_taxonomy(trees.counts, minimum)),
        minimum=minimum,
        products=products,
        vector=next((guess.vector for guess in guesses if guess.vector), None),
        images=unite_images([guess.images for guess in guesses if guess.images]),
        unused=(),
        notes=tuple(notes),
        paths=trees.counts,
        retailer=None,
        feeds=tuple(guesses),
        attributes=tuple(attributes.values()),
    )


def _split_notes(guesses: Sequence[Guess]) -> Iterator[str]:
    """Feeds whose categories are names alone that end other feeds' paths: a thing would have two categories."""
    for guess in guesses:
        flat = {path[0] for path in guess.paths}
        if any(len(path) > 1 for path in guess.paths):
            continue
        others = (path for other in guesses if other is not guess for path in other.paths if len(path) > 1)
        longer = {path[-1]: path for path in others if path[-1] in flat}
        if longer and 2 * len(longer) >= len(flat):
            name, path = min(longer.items())
            yield (
                f"{guess.retailer}: {len(longer)} of its {counted(len(flat), 'category', 'categories')} would stand "
                f"beside another feed's of the same name ({name!r} beside {' > '.join(path)!r}), and the model could "
                "not tell the two apart: with --category name the column of whole paths, or set this feed's "
                "fields.truth to null, and take these categories out of the taxonomy file"
            )


def _images(
    folder: Path, columns: dict[str, SampledColumn], fields: list[FieldGuess], notes: list[str]
) -> ImageGuess | None:
    name = next((guess.column for guess in fields if guess.field == "image"), None)
    if name is None:
        return None
    image_guess = guess_images(columns[name], folder)
    if image_guess.missing:
        count = image_guess.files + image_guess.missing
        notes.append(
            f"column {name!r} names {counted(count, 'file')}, of which "
            f"{counted(image_guess.missing, 'is', 'are')} not below {folder}"
        )
    if image_guess.more_hosts:
        notes.append(
            f"images are at {counted(image_guess.more_hosts, 'host')} more than are written down under feed.images"
        )
    return image_guess


def _category(
    columns: dict[str, SampledColumn], sample: list[dict[str, Any]], name: str | None, separator: str | None
) -> CategoryGuess | None:
    if name is None:
        guess = guess_category(columns, sample)
    elif name not in columns:
        known = ", ".join(list(columns)[:30])
        raise InputError(Problem("--category", f"expected one of the feed's columns: {known}", value=name))
    else:
        return judge_category(columns[name], by_name=1.0, named=True, separator=separator)
    if guess is None or separator is None:
        return guess
    return judge_category(columns[guess.column], by_name=1.0, named=True, separator=separator)


def _fields(
    columns: dict[str, SampledColumn], sample: list[dict[str, Any]], chosen: CategoryGuess | None, taken: set[str],
    notes: list[str],
) -> tuple[list[FieldGuess], list[str]]:  # fmt: skip
    """The fields; a second category column becomes ``raw_category`` unless it tells the first one's answer."""
    others: list[str] = []
    raw: FieldGuess | None = None
    by_name = sorted(columns, key=lambda name: -name_score(name, CATEGORY_ALIASES))
    for name in by_name:
        column = columns[name]
        score = name_score(name, CATEGORY_ALIASES)
        if score < 0.55 or name in taken or not column.filled or column.numbers > column.filled / 2 or column.nested:
            continue
        if not tells_categories(column):
            continue
        share = gives_away(sample, name, chosen.column, chosen.cells) if chosen else 0.0
        if chosen and share >= LEAK:
            taken.add(name)
            others.append(
                f"column {name!r} is not used: it names the category to learn for {share:.0%} of the products"
            )
        elif chosen and follows(name, sample, chosen):
            taken.add(name)
            others.append(
                f"column {name!r} is not used: it follows from the category to learn, as a level or a code of it"
            )
        elif raw is None and not column.lists:
            raw = FieldGuess("raw_category", name, round(score, 2), tuple(column.examples()), column.mean_characters)
    if raw is not None:
        taken.add(raw.column)
    fields = guess_fields(columns, taken)
    if raw is not None:
        first = ("id", "title", "description", "brand")
        fields.insert(sum(guess.field in first for guess in fields), raw)
    return fields, others


def _count_paths(
    files: FeedFiles, sample: list[dict[str, Any]], chosen: CategoryGuess
) -> tuple[Counter[Names], int, int]:
    """Products by their first path; how many were looked at; how many have several paths."""
    counts: Counter[Names] = Counter()
    total = several = 0
    whole = len(sample) < -(-SAMPLE // len(files.paths))
    for record in sample if whole else files.records():
        paths = chosen.cells.paths(record.get(chosen.column))
        total += 1
        several += len(paths) > 1
        if paths and (path := without_none(paths[0])):
            counts[path] += 1
        if total >= MAX_COUNTED:
            break
    return counts, total, several


def _note_numbers(columns: dict[str, SampledColumn], chosen: CategoryGuess | None, notes: list[str]) -> None:
    """Columns that are called after categories and hold numbers, as Google's may."""
    for name, column in columns.items():
        digits = sum(count for text, count in column.distinct.items() if text.isdigit())
        few = len(column.distinct) <= max(0.6 * column.filled, 12)
        by_name = name_score(name, CATEGORY_ALIASES) >= 0.55 and (chosen is None or chosen.column != name)
        if by_name and few and digits > column.filled / 2:
            notes.append(
                f"column {name!r} has numbers: if they are Google's, its taxonomy (with ids) as taxonomy.file "
                "says which categories they mean"
            )


def _note_prices(sample: list[dict[str, Any]], fields: list[FieldGuess], notes: list[str]) -> None:
    """How many prices the run will count as missing, as far as the first products tell; and prices in cents, if there
    are no others."""
    if PRICE not in {guess.field for guess in fields}:
        notes += [
            f"column {name!r} is not used: its name says that its prices are in hundredths; a column of whole ones "
            "can be named under fields.price"
            for name in sample[0]
            if in_hundredths(name) and name_score(name, ALIASES[PRICE])
        ]
    for guess in fields:
        if guess.field in NUMBER_FIELDS:
            values = [record.get(guess.column) for record in sample[:PRICED]]
            notes += untold_notes(guess.column, *count_untold(values))


def _note_writing(chosen: CategoryGuess, counts: Counter[Names], several: int, notes: list[str]) -> None:
    """What was decided about several paths per cell, numbers before paths, and a root above everything."""
    if several:
        between = chosen.cells.paths_separator
        how = f" (with {between!r} between them)" if between else ""
        notes.append(
            f"{counted(several, 'product has', 'products have')} several category paths{how}: "
            "the first one is the label; labels.truth.independent names a multi-label objective that gets all of them"
        )
    if chosen.cells.numbered:
        notes.append("the numbers before category paths (feed.truth_numbered) are no part of the names")
    roots = {path[0] for path in counts}
    if len(roots) == 1 and any(len(path) > 2 for path in counts):
        root = next(iter(roots))
        notes.append(
            f"every category lies below {root!r}, which is kept, so that categories are named as the shop does"
        )


def _note_categories(
    nodes: tuple[PathNode, ...], counts: Counter[Names], sampled: int, minimum: int, notes: list[str]
) -> None:
    exclusive = {node.path for node in nodes if node.exclusive}
    kept = {node.path for node in nodes}
    lost = 0
    for path, count in counts.items():
        lost += count if nearest(path, kept) not in exclusive else 0
    missing, looked_at = sampled - counts.total(), counted(sampled, "product")
    if missing:
        notes.append(
            counted(
                missing,
                f"of {looked_at} has no category: it is unlabelled",
                f"of {looked_at} have no category: they are unlabelled",
            )
        )
    if lost:
        notes.append(
            counted(
                lost,
                f"product is in a category of fewer than {minimum} products: it is unlabelled",
                f"products are in categories of fewer than {minimum} products: they are unlabelled",
            )
        )
    apart = [node for node in nodes if node.exclusive and len(node.path) == 1 and node.total < APART * sampled]
    if apart and sum(count for path, count in counts.items() if len(path) > 1) >= TREE * counts.total():
        names = ", ".join(repr(node.path[0]) for node in apart[:5]) + (", ..." if len(apart) > 5 else "")
        notes.append(
            f"{counted(len(apart), 'category of few products stands', 'categories of few products stand')} beside the "
            f"tree: {names}; take what is no category out of the taxonomy file"
        )
    if len(exclusive) < 2:
        notes.append("fewer than 2 categories have enough products: there is nothing to tell apart")
