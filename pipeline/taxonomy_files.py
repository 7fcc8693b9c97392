"""What becomes of a workflow's files when its taxonomy changes: rules, label files, thresholds, the taxonomy itself."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from modules.counting import counted
from modules.errors import InputError, Problem, reason
from modules.labels import VALUES, LabelLog, read_labels
from modules.labels.moving import Said, readings
from modules.labels.tables import COLUMNS, is_table
from modules.locks import lock
from modules.objectives import kind_named, kinds_of
from modules.paths import near
from modules.rules import load_rules
from modules.taxonomy import Category, Taxonomy, UnknownCategory
from modules.taxonomy.documents import Complaints, read_document
from modules.taxonomy.mapping import Moves
from pipeline.migrate import keep_copy
from pipeline.migrations.text import with_values
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import LoadedWorkflow, load_workflow, read_text
from pipeline.yaml_tree import KeyPath, read_tree

WRITTEN = (".yaml", ".yml", ".json", ".jsonl", ".csv")
"""Endings of the project's own forms of a taxonomy."""


@dataclass(frozen=True)
class NewFile:
    """A file's new content, which lies beside it until all else is done.

    Attributes:
      target: the file; it may not be there yet. staged: the new content.
      before: SHA-256 of the old content; empty where there is none. note: what is new, for people.
    """

    target: Path
    staged: Path
    before: str
    note: str


@dataclass(frozen=True)
class Journal:
    """A migration whose files are written, but not in their places yet: whoever finds it brings it to its end.

    Attributes:
      file: where it stands. identity: of the migration.
      files: in the order in which they are put into their places: the taxonomy comes last.
      rules: the number in ``files`` of the rules' new file; None where it did not change.
    """

    file: Path
    identity: str
    moves: Moves
    files: tuple[NewFile, ...]
    rules: int | None

    @classmethod
    def found_in(cls, loaded: LoadedWorkflow) -> Journal | None:
        """The one that a stopped migration of this workflow has left.

        Raises:
          InputError: the file is damaged or cannot be read.
        """
        file = _journal_file(loaded)
        try:
            data = json.loads(file.read_text("utf-8"))
            files = tuple(NewFile(Path(target), Path(staged), *facts) for target, staged, *facts in data["files"])
            return cls(file, data["identity"], Moves.from_json(data["moves"]), files, data["rules"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(Problem(near(file), f"cannot be read: {reason(error)}")) from None
        except (ValueError, KeyError, TypeError, AttributeError, InputError):
            expected = "expected what a stopped migration has left to do; the file is damaged"
            hint = (
                "restore it; or delete it, put the .bak files back (the label store's, too), and run the command again"
            )
            raise InputError(Problem(near(file), expected, hint=hint)) from None

    def write(self) -> None:
        """From here on the migration is brought to its end.

        Raises:
          InputError: the file cannot be written; nothing was done.
        """
        rows = [[str(new.target), str(new.staged), new.before, new.note] for new in self.files]
        data = {"identity": self.identity, "moves": self.moves.to_json(), "files": rows, "rules": self.rules}
        fresh = self.file.with_name(f"{self.file.name}.new")
        try:
            with fresh.open("w", encoding="utf-8") as stream:
                json.dump(data, stream, ensure_ascii=True)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(fresh, self.file)
        except OSError as error:
            self.discard()
            raise InputError(Problem(near(self.file), f"cannot be written: {reason(error)}")) from None

    @property
    def rules_file(self) -> Path | None:
        """The rules' new content, wherever it lies by now."""
        if self.rules is None:
            return None
        new = self.files[self.rules]
        return new.staged if new.staged.exists() else new.target

    def finish(self) -> list[Path]:
        """Puts the files into their places, each in one step; the old ones stay as copies.

        Returns:
          The copies that were made.

        Raises:
          InputError: a file was changed meanwhile, or cannot be written.
        """
        copies = []
        for new in self.files:
            if not new.staged.exists():
                continue
            try:
                if _checksum(new.target) != new.before:
                    hint = f"put it back, or remove {near(new.staged)}, and run the command again"
                    raise InputError(Problem(near(new.target), "changed while the taxonomy was migrated", hint=hint))
                if new.before:
                    copies.append(keep_copy(new.target, new.target.read_bytes()))
                    os.chmod(new.staged, new.target.stat().st_mode)
                os.replace(new.staged, new.target)
            except OSError as error:
                raise InputError(Problem(near(new.target), f"cannot be written: {reason(error)}")) from None
        self.file.unlink()
        return copies

    def discard(self) -> None:
        """Removes the new files, where nothing was done yet."""
        for new in self.files:
            new.staged.unlink(missing_ok=True)


@contextmanager
def alone(loaded: LoadedWorkflow) -> Iterator[None]:
    """Keeps other migrations of the workflow away.

    Raises:
      InputError: another one is at work.
    """
    held = lock(_journal_file(loaded).with_suffix(".lock"))
    if held is None:
        raise InputError(Problem(str(loaded.path), "another program is migrating its taxonomy"))
    with held:
        yield


def refuse_unfinished(loaded: LoadedWorkflow) -> None:
    """Keeps whatever reads labels and files from the half-way state that a stopped migration has left.

    Raises:
      InputError: there is one.
    """
    if _journal_file(loaded).exists():
        finish = loaded.command("taxonomy", "migrate", "--write", "--to", "NEW", "--mapping", "MAPPING")
        raise InputError(
            Problem(
                near(loaded.path), "a migration of its taxonomy was stopped half-way",
                hint=f"{finish}, with the same two files, brings it to its end",
            )
        )  # fmt: skip


def _journal_file(loaded: LoadedWorkflow) -> Path:
    return RunFolder.of(loaded.workflow).path / "taxonomy-migration.json"


def stage(loaded: LoadedWorkflow, moves: Moves) -> Journal:
    """Writes the new content of all files that change, beside them.

    Raises:
      InputError: all that a person has to decide first, or what cannot be read or written.
    """
    contents: list[tuple[Path, Path, str]] = []
    rules = None
    try:
        if loaded.rules_file is not None and (changed := _rules(loaded.rules_file, moves)) is not None:
            rules = len(contents)
            text, number = changed
            contents.append(_staged(loaded.rules_file, text, counted(number, "rule")))
            load_rules(contents[-1][1], moves.new)
        kinds = kinds_of(loaded.workflow.objectives)
        for file in (loaded.find(name) for name in loaded.workflow.labels.files):
            log = read_labels(file, moves.old, kinds)
            categories = tuple(moves.old)
            if any(_renamed(moves, categories[code]) for code in set(log.category_column) if code >= 0):
                staged = _beside(file)
                contents.append((file.resolve(), staged, _write_labels(log, moves, staged)))
                read_labels(staged, moves.new, kinds)
        old_file = loaded.taxonomy_file
        assert old_file is not None
        target = old_file if old_file.suffix.lower() in WRITTEN else old_file.with_name(f"{old_file.stem}.yaml")
        settings = _workflow(loaded, moves, None if target == old_file else target.name)
        if settings is not None:
            contents.append(
                _staged(loaded.path, settings, "thresholds" if target == old_file else "the taxonomy's file")
            )
        contents.append((target.resolve(), _beside(target), counted(len(moves.new), "category")))
        moves.new.write(contents[-1][1])
        if Taxonomy.load(contents[-1][1]) != moves.new:
            raise InputError(Problem(str(target), "the new taxonomy cannot be written here as it is"))
    except BaseException as error:
        for _, staged, _ in contents:
            staged.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(Problem(str(loaded.path), f"cannot write beside it: {reason(error, file=True)}")) from None
        raise
    files = tuple(NewFile(target, staged, _checksum(target), note) for target, staged, note in contents)
    return Journal(_journal_file(loaded), uuid4().hex, moves, files, rules)


def _beside(target: Path) -> Path:
    """Where a file's new content waits; its ending says how it is read. A stopped command's is written over."""
    target = target.resolve()
    return target.with_name(f".new-taxonomy-{target.name}")


def _staged(target: Path, text: str, note: str) -> tuple[Path, Path, str]:
    staged = _beside(target)
    staged.write_bytes(text.encode())
    return target.resolve(), staged, note


def _checksum(file: Path) -> str:
    with suppress(FileNotFoundError), file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
    return ""


def _renamed(moves: Moves, category: Category) -> bool:
    """Whether labels have to say something else of an old category."""
    kept = moves.unchanged(category.id) and moves.new[category.id]
    return not kept or kept.path != category.path or kept.exclusive != category.exclusive


def _rules(file: Path, moves: Moves) -> tuple[str, int] | None:
    """The rules with the new categories, and how many change; None: none of them does.

    One that names a category of the new taxonomy alone stays, so that people can decide about a rule beforehand.

    Raises:
      InputError: the categories of rules that were split or dropped, or are in neither taxonomy.
    """
    root = read_document(file)
    complaints = Complaints(str(file))
    before: KeyPath = ("rules",) if root.entries is not None else ()
    rows = root.entries["rules"].items if root.entries is not None and "rules" in root.entries else root.items
    values: dict[KeyPath, Any] = {}
    for number, row in enumerate(rows or ()):
        node = (row.entries or {}).get("category")
        named = None if node is None else [n.text or "" for n in node.items] if node.items else node.as_text()
        if node is None or not named:
            continue
        target = _rule_target(named, moves)
        if isinstance(target, Problem):
            complaints.add(target.expected, node.line, "category", str(target.value), target.hint)
        elif target is not None:
            values[*before, number, "category"] = moves.new.path_text(target)
    complaints.raise_if_any()
    return (with_values(file.read_text("utf-8-sig"), values), len(values)) if values else None


def _rule_target(named: str | list[str], moves: Moves) -> str | Problem | None:
    """The new category's id; None: the rule says it already."""
    try:
        category = moves.old.find(named, suggest=False)
    except UnknownCategory as error:
        try:
            moves.new.find(named, suggest=False)
        except UnknownCategory:
            return Problem("", "in neither taxonomy", value=error.text)
        return None
    targets = moves.targets[category.id]
    if len(targets) == 1:
        with suppress(UnknownCategory):
            if moves.new.find(named, suggest=False).id == targets[0]:
                return None
        return targets[0]
    choices = ", ".join(repr(moves.new.path_text(target)) for target in targets[:5])
    expected = f"this rule's category was split into {choices}" if targets else "this rule's category was dropped"
    hint = "write one of the new categories, or remove the rule; the file may name new categories already"
    return Problem("", expected, value=category.text, hint=hint)


def _write_labels(log: LabelLog, moves: Moves, staged: Path) -> str:
    """Writes a label file as its name says; rows of which nothing is left are left out. Returns the numbers as text."""
    changed, states = _said(log, moves)
    with _opened(staged) as stream:
        table = csv.writer(stream, lineterminator="\n") if is_table(staged.name) else None
        if table is not None:
            table.writerow(COLUMNS)
        for number, row in enumerate(log):
            same = (Said(row.value, row.category),)
            for value, category in changed.get(number, same):
                new = row._replace(
                    value=value, category=None if category is None else moves.new.path_text(category)
                )._asdict()
                new["time"] = row.time.isoformat()
                if table is None:
                    stream.write(json.dumps(new, ensure_ascii=False) + "\n")
                else:
                    # A leading apostrophe is a spreadsheet's mark, which readers take away.
                    table.writerow(f"'{text}" if str(text).startswith("'") else text for text in new.values())
    return (
        f"{counted(len(log), 'label')}: {states['same']:,} as they are, {states['moved']:,} carried over, "
        f"{states['open']:,} open, {states['dropped']:,} dropped"
    )


def _said(log: LabelLog, moves: Moves) -> tuple[dict[int, tuple[Said, ...]], Counter[str]]:
    """Of the rows whose answers change, the row's number to what stands in its place; and how many rows become what."""
    import numpy as np

    ids = [category.id for category in moves.old]
    single = [kind_named(kind).single_label for kind in log.kinds.values()]
    columns = (log.product_column, log.objective_column, log.annotator_column, log.time_column)
    product, objective, annotator, time = (np.frombuffer(column, column.typecode) for column in columns)
    order = np.lexsort((time, annotator, objective, product)).tolist()
    changed: dict[int, tuple[Said, ...]] = {}
    states: Counter[str] = Counter()
    key = lambda row: (product[row], objective[row], annotator[row])  # noqa: E731
    for _, group in groupby(order, key):
        numbers = list(group)
        codes = [log.category_column[row] for row in numbers]
        said = [
            Said(VALUES[log.value_column[row]], ids[code] if code >= 0 else None)
            for row, code in zip(numbers, codes, strict=True)
        ]
        read = readings(said, moves, single[log.objective_column[numbers[0]]])
        changed |= {
            row: reading.said
            for row, answer, reading in zip(numbers, said, read, strict=True)
            if reading.said != (answer,)
        }
        states.update(reading.state for reading in read)
    return changed, states


@contextmanager
def _opened(file: Path) -> Iterator[IO[str]]:
    with file.open("wb") as raw:
        zipped = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if file.suffix == ".gz" else raw
        with io.TextIOWrapper(zipped, "utf-8", newline="") as text:
            yield text


def _workflow(loaded: LoadedWorkflow, moves: Moves, taxonomy_file: str | None) -> str | None:
    """The workflow file with the thresholds of the new categories, and the taxonomy's new name; None: as it is.

    A category gets the strictest threshold of those that it was made of; that of a dropped one goes.
    """
    text = read_text(loaded.path)
    values: dict[KeyPath, Any] = {}
    for objective, thresholds in loaded.workflow.evaluation.thresholds.items():
        new = _thresholds(thresholds.category_f1, moves, loaded, objective)
        if new != dict(thresholds.category_f1):
            values["evaluation", "thresholds", objective, "category_f1"] = new
    if taxonomy_file is not None:
        old_name = str(loaded.workflow.taxonomy.file)
        values["taxonomy", "file"] = str(Path(old_name).with_name(taxonomy_file))
    if not values:
        return None
    lines = read_tree(text, str(loaded.path)).lines
    for path in values:
        if path not in lines:
            key = ".".join(map(str, path))
            raise InputError(loaded.problem(key, "cannot be changed where it stands", hint="write it into the file"))
    written = with_values(text, values)
    staged = _beside(loaded.path)
    staged.write_text(written, "utf-8")
    try:
        load_workflow(staged)
    finally:
        staged.unlink()
    return written


def _thresholds(given: Mapping[str, float], moves: Moves, loaded: LoadedWorkflow, objective: str) -> dict[str, float]:
    new: dict[str, float] = {}
    for name, bound in given.items():
        try:
            old = moves.old.find(name)
        except UnknownCategory as error:
            key = f"evaluation.thresholds.{objective}.category_f1"
            problem = error.problems[0]
            raise InputError(loaded.problem(key, problem.expected, name, problem.hint)) from None
        for target in moves.targets[old.id]:
            text = name if target == name else moves.new.path_text(target)
            new[text] = max(bound, new.get(text, 0.0))
    return new
