"""Names of example features come from ``modules.examples`` alone, those of prediction columns from
``modules.predictions.columns``: no other product code spells one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from modules import examples
from modules.predictions import columns

ROOT = Path(__file__).parents[2]
PACKAGES = ("components", "experiments", "labelling", "modules", "pipeline", "api", "shelfmark")
HOMES = ("modules/examples.py", "modules/predictions/columns.py")
STRATEGIES = "labelling/web/words.py"
"""Its words are about query strategies, some of which have the name of the score that they pick by."""


def constants(module: object) -> set[str]:
    """The texts that a module gives names to."""
    return {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


NOT_NAMES = {examples.SPLIT_FOLDER, examples.TAXONOMY_FILE}
FEATURES = constants(examples) - NOT_NAMES
COLUMNS = constants(columns)
NAMES = FEATURES | COLUMNS
OF_PRODUCT = {columns.SPLIT, *columns.MODEL_EMBEDDINGS.values()} | (COLUMNS & FEATURES)
"""Columns that have their name by themselves; the others are parts, which stand behind an objective's name."""

UNMISTAKABLE = {name for name in NAMES if "_" in name} - set(examples.PRODUCT_FIELDS)
"""Names that mean nothing but a feature or a column wherever they stand. The others are also words of the language, or
fields of a feed, so that only their place tells."""

PREFIXES = ("label", "label_source", "eval_weight")
PART = re.compile(rf"/({'|'.join(sorted(NAMES))})(/.*)?")
PREFIX = re.compile(rf"({'|'.join(PREFIXES)})/")
WHOLE = re.compile(
    rf"(\w+|%s|\{{\w*\}})/({'|'.join(sorted(NAMES))})|({'|'.join(PREFIXES)})/.*|{examples.SPLIT_FOLDER}.*"
)

SPECS = {"FixedLenFeature", "VarLenFeature", "RaggedFeature", "FixedLenSequenceFeature", "Feature"}
"""What stands behind the name of a feature where examples are parsed or written."""
READERS = {"column", "scan", "select", "to_table", "iter_batches", "to_batches", "field", "get_field_index"}
"""Methods of tables, and of files of predictions, that take names of columns."""
MAKERS = {"objective_column", "transformed", "is_transformed", "sibling", "label", "label_source", "eval_weight"}

Hits: TypeAlias = Iterator[tuple[int, str]]


def called(node: ast.AST) -> str:
    """The last name of what is called; empty: the node is no call."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name
    return ""


def texts(node: ast.AST | None) -> Hits:
    """Texts that stand in an expression by themselves, or in its lists, tuples, sets, conditions and starred parts."""
    match node:
        case ast.Constant(value=str() as value):
            yield node.lineno, value
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                yield from texts(part)
        case ast.Starred(value=inner):
            yield from texts(inner)
        case ast.IfExp(body=body, orelse=other):
            yield from texts(body)
            yield from texts(other)
        case ast.BinOp(left=left, right=right):
            yield from texts(left)
            yield from texts(right)


def literal_types(tree: ast.AST) -> set[int]:
    """Ids of the nodes in a ``Literal[...]``, whose values cannot be names, and of the defaults of such fields."""
    nodes: set[int] = set()
    for node in ast.walk(tree):
        is_field = isinstance(node, ast.AnnAssign) and "Literal[" in ast.unparse(node.annotation)
        if is_field or (isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal")):
            nodes |= {id(part) for part in ast.walk(node)}
    return nodes


def joined(node: ast.AST) -> Hits:
    """Names that are put together: by f-strings, ``+``, ``%``, ``format``, ``join``, or whole."""
    if isinstance(node, ast.JoinedStr):
        pairs = zip([None, *node.values], node.values, strict=False)
        for before, part in pairs:
            if isinstance(part, ast.Constant):
                is_part = before is not None and PART.fullmatch(part.value)
                if is_part or (before is None and PREFIX.match(part.value)):
                    yield node.lineno, ast.unparse(node)
    elif isinstance(node, ast.BinOp):
        yield from ((line, text) for line, text in texts(node.right) if PART.fullmatch(text))
    elif called(node) in {"endswith", "removesuffix"} and isinstance(node, ast.Call):
        for argument in node.args:
            yield from ((line, text) for line, text in texts(argument) if PART.fullmatch(text))
    elif called(node) == "join" and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if [text for _, text in texts(node.func.value)] == ["/"]:
            for argument in node.args:
                yield from ((line, text) for line, text in texts(argument) if text in NAMES or text in PREFIXES)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and WHOLE.fullmatch(node.value):
        yield node.lineno, node.value


def placed(node: ast.AST) -> Hits:
    """Names where only the name of a feature or of a column can stand."""
    match node:
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if called(value) in SPECS:
                    yield from ((n, t) for n, t in texts(key) if t in FEATURES)
        case ast.Assign(targets=[ast.Subscript(slice=key)], value=value) if called(value) in SPECS:
            yield from ((n, t) for n, t in texts(key) if t in FEATURES)
        case ast.DictComp(value=value, generators=generators) if called(value) in SPECS:
            for generator in generators:
                yield from ((n, t) for n, t in texts(generator.iter) if t in FEATURES)
        case ast.Subscript(value=value, slice=key):
            if called(value).startswith("parse_") or ast.unparse(value).endswith("features.feature"):
                yield from ((n, t) for n, t in texts(key) if t in FEATURES)
        case ast.Call(args=arguments, keywords=keywords):
            if (called(node) in READERS and isinstance(node.func, ast.Attribute)) or called(node) in MAKERS:
                for argument in arguments:
                    yield from ((n, t) for n, t in texts(argument) if t in NAMES)
            for keyword in keywords:
                if keyword.arg == "columns":
                    yield from ((n, t) for n, t in texts(keyword.value) if t in COLUMNS)


def handled(function: ast.AST) -> Hits:
    """Names in a function that reads files of predictions, or handles examples: as keys, and in lists of columns."""
    names: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            names |= COLUMNS if node.func.attr in {"scan", "select"} else set()
            names |= FEATURES if node.func.attr in {"parse_example", "parse_single_example", "Example"} else set()
    for node in ast.walk(function) if names else ():
        match node:
            case ast.Subscript(slice=key):
                yield from ((line, text) for line, text in texts(key) if text in names)
            # Of a function that reads predictions, too, but it may well make a document with keys of its own.
            case ast.Dict(keys=keys) if names >= FEATURES:
                yield from ((line, text) for key in keys for line, text in texts(key) if text in FEATURES)
            case ast.List() | ast.Tuple() | ast.Set():
                yield from ((line, text) for line, text in texts(node) if text in names)


def makes_names(tree: ast.AST) -> bool:
    """Whether a module takes the names of columns, or of what Transform makes, from their homes."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {(node.module, alias.name) for node in imports for alias in node.names}
    modules = {module for module, _ in names} | {f"{module}.{name}" for module, name in names}
    return columns.__name__ in modules or f"{examples.__name__}.transformed" in modules


def beside_names(node: ast.AST) -> Hits:
    """What only a module that makes names of columns shows to be one: parts that meet in an f-string, keys, lists."""
    match node:
        case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str() as part)]):
            if re.fullmatch("/[a-z_]+", part):
                yield node.lineno, ast.unparse(node)
        case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value="/"), ast.FormattedValue(value=part)]):
            # A path that ends in the name of a file is none.
            known = getattr(columns, part.id, getattr(examples, part.id, None)) if isinstance(part, ast.Name) else None
            if not (isinstance(part, ast.Name) and part.id.isupper() and known not in NAMES):
                yield node.lineno, ast.unparse(node)
        case ast.Subscript(slice=key):
            yield from ((line, text) for line, text in texts(key) if text in OF_PRODUCT)
        case ast.List() | ast.Tuple() | ast.Set():
            hits = [(line, text) for line, text in texts(node) if text in COLUMNS]
            yield from hits if len(hits) > 1 else ()


def spelt(source: str) -> Hits:
    """Line and text of each name that is spelt by hand."""
    tree = ast.parse(source)
    ignored, is_maker = literal_types(tree), makes_names(tree)
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        yield from joined(node)
        yield from placed(node)
        if is_maker:
            yield from beside_names(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from handled(node)
        elif isinstance(node, ast.Constant) and node.value in UNMISTAKABLE:
            yield node.lineno, str(node.value)


@pytest.mark.parametrize(
    "source",
    [
        'f"{name}/category_id"', 'f"{self.names[0]}/label"', 'f"label/{name}"', 'f"{name}/ids"',
        'f"eval_weight/{name}"',
        'name + "/classes"', '"%s/entropy" % name', '"{}/rest".format(name)', '"/".join((name, "margin"))',
        '"exclusive/probabilities"', '"label/exclusive/no"', 'name.endswith("/category_id")',
        'name.startswith("label/")',
        'name.removesuffix("/assigned")', 'key == "least_confidence"', 'table["embedding_image"]', '"Split-train"',
        'batch.column("id")', 'files.scan(["id", *others])', 'pq.read_table(file, columns=["title"])',
        'spec = {"title": tf.io.FixedLenFeature([], tf.string)}', 'spec["id"] = tf.io.VarLenFeature(tf.string)',
        '{key: tf.io.VarLenFeature(tf.string) for key in ("title", "brand")}',
        'tf.io.parse_example(data, spec)["rules"]',
        'example.features.feature["id"]', 'objective_column(name, "label")', 'transformed(name, "pixels")',
        'def titles(files):\n  return [row["title"] for row in files.scan(COLUMNS)]',
        'def read(data):\n  parsed = tf.io.parse_example(data, SPEC)\n  return parsed["id"]',
        'def made():\n  features = {"id": b""}\n  return tf.train.Example(features=features)',
        'from modules.predictions.columns import ENTROPY\nf"{name}/{score}"',
        'from modules.predictions.columns import ENTROPY\nf"{name}/{ENTROPY}"',
        'from modules.examples import transformed\nf"{name}/new_part"',
        'from modules.predictions import columns\nf"{name}/{score}"',
        'from modules.predictions.columns import PRICE\nraw["price"]',
        'from modules.predictions.columns import PRICE\nSHOWN = ("id", "title")',
    ],
)  # fmt: skip
def test_the_search_sees_what_it_forbids(source: str) -> None:
    assert list(spelt(source))


@pytest.mark.parametrize(
    "source",
    [
        "objective_column(name, LABEL)", "batch.column(ID)", "transformed(name, PIXELS)", "examples.label(name)",
        'kind: Literal["least_confidence"] = "least_confidence"', 'router.get("/label")', 'row["id"]',
        '{"title": text}',
        'f"{folder}/model.json"', 'f"{strategy}/{figure}"', 'product.text.get("title")',
        'from modules.predictions.columns import ENTROPY\nf"{folder}/{TUNER_RESULTS}"',
    ],
)  # fmt: skip
def test_the_search_lets_other_words_through(source: str) -> None:
    assert not list(spelt(source))


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_spelt_at_home_only(package: str) -> None:
    hits, files = set(), 0
    for file in sorted((ROOT / package).rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        files += 1
        if name not in (*HOMES, STRATEGIES):
            hits |= {f"{name}:{line}: {text}" for line, text in spelt(file.read_text("utf-8"))}
    advice = f"take these names from {' or '.join(HOMES)}; make a path that looks like one by Path or os.path.join"
    assert files > 3 and not hits, "\n".join([advice, *sorted(hits)])
