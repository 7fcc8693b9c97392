"""The files that ``shelfmark init`` writes."""

from __future__ import annotations

import glob
import json
import os
import re
from pathlib import Path

from modules.encoders.known import TEXT_ENCODERS
from modules.encoders.places import is_installed
from modules.errors import InputError, Problem, visible
from modules.examples import BRAND, DESCRIPTION, GENDER, RETAILER, TITLE
from modules.features.default import TEXTS, text_features
from modules.feeds.files import leaves
from modules.feeds.identifiers import VARIANT_FIELDS
from modules.objectives import DEFAULT_OBJECTIVE
from modules.settings.base import as_yaml
from modules.settings.similarity import IndexSettings
from modules.settings.workflow import SLICES, EvaluationSettings
from pipeline.init.attributes import CATEGORICAL, NUMBER, TEXT, VECTOR
from pipeline.init.detect import Guess
from pipeline.init.fields import ALIASES
from pipeline.init.images import feed_folder
from pipeline.init.rules import first_rules

MIN_ACCURACY = 0.1
"""Below it no model is published that has learnt nothing; without an absolute threshold no first model is at all."""
MAX_DROP = 0.05
"""Of accuracy, below which a model is held back: more than the chance of a test split of some hundred products."""

FIELD_ORDER = (*list(ALIASES)[:4], "raw_category", *list(ALIASES)[4:], *VARIANT_FIELDS)


def slug(text: str) -> str:
    """A name that a workflow may have."""
    text = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:40]
    return text if text[:1].isalpha() else f"feed-{text}".rstrip("-")


def write_workflow(
    guess: Guess, output: Path, name: str, force: bool = False, images: bool = False, taxonomy_file: Path | None = None
) -> list[Path]:
    """Writes workflow, taxonomy, rules and an empty label file into ``output``, all of them or none.

    Args:
      taxonomy_file: in any form that is read, in place of the feed's own categories.
      images: the workflow fetches images and learns from them; else it says in comments how.

    Returns:
      The files, the workflow first.

    Raises:
      InputError: one of them is there already and ``force`` is not set; ``images``, and the feed names none; a
        taxonomy file that cannot be read.
    """
    if images and (guess.images is None or not guess.images.usable):
        hint = "leave --images out"
        raise InputError(
            Problem("--images", "expected a column with addresses, or paths of files that are there", hint=hint)
        )
    files: dict[str, str] = {}
    taxonomy = render_taxonomy(guess) if taxonomy_file is None else render_given(taxonomy_file)
    rules = first_rules(
        guess,
        render_workflow(guess, output, name, with_rules=False),
        taxonomy,
        name,
        given=taxonomy_file is not None,
    )
    with_rules = rules is not None and bool(rules.rules)
    files[f"{name}.yaml"] = render_workflow(guess, output, name, with_rules, images)
    files[f"{name}.taxonomy.yaml"] = taxonomy
    if rules is not None and rules.rules:
        files[f"{name}.rules.yaml"] = f"# {rules.scored}.\n{rules.text}"
    files[f"{name}.labels.jsonl"] = ""
    # The label file is what people have worked on: not even --force empties it.
    labels = output / f"{name}.labels.jsonl"
    if force and labels.exists():
        del files[labels.name]
    there = [output / file for file in files if (output / file).exists()]
    if there and not force:
        hint = "--force overwrites it, or choose another --name or --output"
        raise InputError(Problem(str(path), "expected no such file yet", hint=hint) for path in there)
    output.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        temporary = output / f".{file}.new"
        temporary.write_text(text, "utf-8")
        os.replace(temporary, output / file)
    return [output / file for file in files]


def _quote(text: str) -> str:
    """A YAML scalar: plain where that is safe, else as JSON has it, which is YAML too."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./*-]*", text)
    if plain and text.casefold() not in ("null", "true", "false", "yes", "no", "on", "off", "y", "n"):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """A YAML scalar in double quotes; what YAML does not take as it is, or nobody would see, is escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(text, ensure_ascii=False))


def _escaped(c: str) -> str:
    return f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"


def _folder(parent: Path, output: Path) -> str:
    """The feeds' folder as seen from ``output``, absolute where they share nothing."""
    target = Path(os.path.abspath(output))
    shared = os.path.commonpath([parent, target])
    return os.path.relpath(parent, target) if shared != os.path.sep else str(parent)


def render_workflow(guess: Guess, output: Path, name: str, with_rules: bool, images: bool = False) -> str:
    """The workflow file's text, with a comment where a reader may want to change something."""
    paths = [path for feed in guess.feeds or (guess,) for path in feed.files.paths]
    parent = feed_folder(paths)
    lines = [
        "# Written by `shelfmark init` from a look at the feed; everything here is a guess that you may correct.",
        "# Check it with `shelfmark validate`, run it with `shelfmark run`, both with this file's name.",
        f"name: {name}",
        "",
        "feed:" + (" # what all feeds have in common" if guess.feeds else ""),
    ]
    if guess.source is None:
        lines.append(f"  folder: {_quote(_folder(parent, output))}")
    if guess.source is None and any(leaves(str(path), str(parent)) for path in paths):
        lines.append("  outside: true # a file is a link that leads out of the folder")
    if not guess.feeds:
        lines += _files(guess, parent)
    if guess.split:
        values = ", ".join(f"{_quote(value)}: {split}" for value, split in guess.split[1])
        lines += ["  split:", f"    column: {_quote(guess.split[0])}", f"    values: {{{values}}}"]
    lines += _images(guess, images)
    if guess.feeds:
        lines += ["", "feeds: # one for each retailer; ids of products are retailer:id"]
    for feed in guess.feeds:
        first, *rest = [f"  retailer: {_quote(feed.retailer or '')}", *_files(feed, parent)]
        lines += [f"  - {first.strip()}", *[f"  {line}" for line in rest]]
    lines += ["", "taxonomy:", f"  file: {name}.taxonomy.yaml", ""]
    if with_rules:
        lines += [
            "rules:",
            f"  file: {name}.rules.yaml # suggested from the categories' names, judged by labels where there are any",
            "",
        ]
    lines += ["model: {kind: auto} # takes what the number of labels wants, and says what and why", ""]
    lines += [
        "labels:",
        "  files:",
        f"    - {name}.labels.jsonl # hand-made labels go here",
        f"  store: {name}.labels.sqlite # beside this file: what people answer on the pages of `shelfmark label`",
    ]
    if guess.category:
        lines += [
            "  truth: # the feed's own categories count as labels",
            "    evaluate: true",
            "    cut_to_taxonomy: true # a category that is too small for the taxonomy counts for the one above it",
        ]
    return "\n".join([*lines, "", *_features(guess, images), "", *_later_steps(), ""])


def _later_steps() -> list[str]:
    """The sections for what comes after training, with the values that they have anyway where a person may choose."""
    slices = EvaluationSettings().slices
    others = ", ".join(name for name in SLICES if name not in slices)
    index = IndexSettings()
    return [
        "evaluation:",
        f"  slices: [{', '.join(slices)}] # figures for each of these values, too; there are also {others}",
        "  thresholds: # a model that falls short of these is neither published nor pushed",
        f"    {DEFAULT_OBJECTIVE}:",
        f"      accuracy: {MIN_ACCURACY} # far below what a useful model reaches: raise it to what you need",
        f"      max_drop: {MAX_DROP} # so far may accuracy fall below the last blessed model's",
        "",
        "similarity: # `shelfmark similar` and the pages look for neighbours here",
        "  indexes:",
        "    joint:",
        f"      partition_level: {index.partition_level} # neighbours are of one category of this level; 0: of any",
    ]


def _files(guess: Guess, parent: Path) -> list[str]:
    """What is true of a feed's files alone, as lines of a section."""
    files = [Path(os.path.abspath(path)).relative_to(parent).as_posix() for path in guess.files.paths]
    lines = _source(guess) or ["  files:", *[f"    - {_quote(glob.escape(file))}" for file in files]]
    for key, value in guess.files.settings.model_dump(exclude_defaults=True).items():
        lines.append(f"  {key}: {_quote(value)}")
    lines += ["  fields: # product field: column of the feed (null: the feed has none)"]
    for field in FIELD_ORDER:
        column = guess.column(field)
        if field == RETAILER and guess.retailer is not None:
            column = None
        lines.append(f"    {field}: {_quote(column) if column else 'null'}")
    if guess.vector:
        lines.append(f"    image_vector: {_quote(guess.vector[0])}")
    truth = _truth(guess)
    if guess.attributes:
        lines += [*truth[:1], "  attributes: # a name of your own: a further column of the feed"]
        lines += [f"    {attribute.name}: {_quote(attribute.column)}" for attribute in guess.attributes]
        return lines + truth[1:]
    return lines + truth


def _source(guess: Guess) -> list[str]:
    if guess.source is None:
        return []
    settings = guess.source.model_dump(exclude_defaults=True).items()
    lines = [f"    {key}: {as_yaml(value) if isinstance(value, bool) else _quote(value)}" for key, value in settings]
    return ["  source: # asked when a run starts", f"    kind: {guess.source.kind}", *lines]


def _truth(guess: Guess) -> list[str]:
    """The column with the category to learn, as the last line of the fields, and how it is read."""
    lines: list[str] = []
    if guess.category:
        lines += [
            f"    truth: {_quote(guess.category.column)} # the category to learn, so it is no feature",
            f"  truth_separator: {_quoted(guess.category.cells.separator)}",
        ]
        if guess.category.cells.paths_separator is not None:
            between = _quoted(guess.category.cells.paths_separator)
            lines.append(f"  truth_paths_separator: {between} # cells hold several paths: the first one is the label")
        if guess.category.cells.numbered:
            lines.append("  truth_numbered: true # 166 - Shoes: the number belongs to no name")
    return lines


def _images(guess: Guess, wanted: bool) -> list[str]:
    if guess.images is None or not guess.images.usable:
        return []
    hosts = f"hosts: [{', '.join(map(_quote_host, guess.images.hosts))}]" if guess.images.hosts else ""
    line = f"images: {{{hosts}}}"
    if wanted:
        return [f"  {line} # only these hosts are asked" if hosts else f"  {line} # files below the folder"]
    return ["  # To learn from pictures, too, take the # away here and before `picture` below.", f"  # {line}"]


def _quote_host(host: str) -> str:
    return host if re.fullmatch(r"[a-z][a-z0-9.-]*", host) else _quoted(host)


def _features(guess: Guess, images: bool) -> list[str]:
    lines = ["features:", *_texts(guess), *_meaning(guess)]
    if guess.column(GENDER):
        lines.append("  gender: {kind: categorical}")
    if guess.vector:
        lines.append(f"  image_vector: {{kind: dense, dimension: {guess.vector[1]}}}")
    for attribute in guess.attributes:
        if attribute.taken_as == CATEGORICAL:
            lines.append(f"  {attribute.name}: {{kind: categorical, vocabulary: 1000, scale: {QUIET}}}")
        elif attribute.taken_as == NUMBER:
            lines.append(f"  {attribute.name}: {{kind: number, scale: {QUIET}}}")
        elif attribute.taken_as == VECTOR:
            lines.append(f"  {attribute.name}: {{kind: dense, dimension: {attribute.length}}}")
    picture = "picture: {kind: image}"
    if images:
        lines.append(f"  {picture}")
    if all(line.startswith("  #") for line in lines[1:]):
        lines.append("  title: {kind: text} # no column was recognised: name one in feed.fields.title")
    if not images and guess.images is not None and guess.images.usable:
        lines.append(f"  # {picture}")
    return lines


LONG = 100
"""Characters, on average: runs of characters of longer texts cost more than they tell."""

TELLING = 25
"""Characters, on average: a shorter title is a name more often than it says what the product is."""

QUIET = 0.4
"""Scale of attributes: as loud as a text, a value that goes along with a series of products (its designer) outweighs
what the next series says of itself."""

MEANINGS = ("meaning", "further_meaning")
"""Features of pretrained encoders. Two say more than one, which is right for other words; a third says nothing new
(docs/explanation/results/default_model.md)."""

SMALL = 5000
"""Products; fewer of them have half as many words and runs worth a column."""


def _texts(guess: Guess) -> list[str]:
    """The text features, one on each line."""
    fields = [field for field in TEXTS if guess.column(field)]
    features = text_features(
        fields,
        long={field for field in fields if field != TITLE and guess.mean_characters(field) > LONG},
        further=[attribute.name for attribute in guess.attributes if attribute.taken_as == TEXT],
        few=guess.products < SMALL,
    )
    settings = {name: feature.model_dump(exclude_unset=True) for name, feature in features.items()}
    return [f"  {name}: {as_yaml({'kind': 'text', **own})}" for name, own in settings.items()]


def _meaning(guess: Guess) -> list[str]:
    """What pretrained encoders make of the texts that name the product, of those on this machine; else how to.

    A short description says what the product is where the title is a mere name ("BILLY"); a long one costs ten times a
    title's time, and is worth it only there.
    """
    fields = [field for field in (TITLE, BRAND, DESCRIPTION) if guess.column(field)]
    named = TITLE in fields and guess.mean_characters(TITLE) >= TELLING
    if named and DESCRIPTION in fields and guess.mean_characters(DESCRIPTION) > LONG:
        fields.remove(DESCRIPTION)
    if not fields:
        return []
    columns = f"columns: [{', '.join(fields)}]"
    there = [name for name in TEXT_ENCODERS if is_installed(name)][: len(MEANINGS)]
    missing = [name for name in TEXT_ENCODERS if name not in there][: len(MEANINGS) - len(there)]
    lines = []
    for feature, name in zip(MEANINGS, (*there, *missing), strict=False):
        line = f"{feature}: {{kind: encoded, encoder: {name}, {columns}}}"
        if name in there:
            lines.append(f"  {line}")
            continue
        more = "Somewhat fewer labels with a second encoder" if feature != MEANINGS[0] else "For far fewer labels"
        lines += [f"  # {more}, after `shelfmark encoder add {name}` (English texts):", f"  # {line}"]
    return lines


_KEYS_TOLD = (
    "# exclusive: a product belongs to exactly one of these.",
    "# Where a name says little, add 'synonyms: [...]' or 'description: ...' for encoders and people to read.",
)


def render_taxonomy(guess: Guess) -> str:
    """The taxonomy file's text."""
    if not guess.nodes:
        return (
            "# No category column was found in the feed. Write your categories here, for example:\n"
            "#   - {path: [Shoes]}\n#   - {path: [Shoes, Boots], exclusive: true}\ncategories: []\n"
        )
    lines = [
        f"# From {_origin(guess)}: categories of at least {guess.minimum} products.",
        *_KEYS_TOLD,
        "categories:",
    ]
    for node in guess.nodes:
        path = ", ".join(_quoted(part) for part in node.path)
        exclusive = ", exclusive: true" if node.exclusive else ""
        lines.append(f"  - {{path: [{path}]{exclusive}}} # {node.total:,}")
    return "\n".join(lines) + "\n"


def render_given(file: Path) -> str:
    """The text of the taxonomy file for somebody's own taxonomy, with its ids, descriptions and synonyms."""
    from modules.taxonomy import Taxonomy

    lines = [f"# From {visible(file.name)}.", *_KEYS_TOLD, "categories:"]
    taxonomy = Taxonomy.load(str(file))
    parents = {category.parent for category in taxonomy}
    for category in taxonomy:
        path = ", ".join(_quoted(part) for part in category.path)
        # A file that marks none is about its leaves, as other formats' files are.
        marked = category.exclusive if taxonomy.exclusive else category.id not in parents
        exclusive = ", exclusive: true" if marked else ""
        more = f", name: {_quoted(category.name)}" if category.name != category.path[-1] else ""
        if category.description:
            more += f", description: {_quoted(category.description)}"
        if category.synonyms:
            more += f", synonyms: [{', '.join(map(_quoted, category.synonyms))}]"
        lines.append(f"  - {{id: {_quoted(category.id)}, path: [{path}]{exclusive}{more}}}")
    return "\n".join(lines) + "\n"


def _origin(guess: Guess) -> str:
    """Which columns the taxonomy is from."""
    if not guess.feeds:
        return f"the feed's column {visible(guess.category.column) if guess.category else ''}"
    columns = [f"{feed.retailer}'s {visible(feed.category.column)}" for feed in guess.feeds if feed.category]
    return f"the feeds' columns ({', '.join(columns)}), merged by path and name"
