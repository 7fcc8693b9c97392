"""Reading a workflow file into settings: places for error messages, overrides, and where its files lie.

The base folder is the first of: ``--feed DIR``; the environment variable that ``feed.folder_env`` names;
``feed.folder`` (relative to the workflow file); for a generated catalogue (``feed.demo``) ``<name>-catalogue`` in
``runners.local.folder``, beside the runs and never beside an installed workflow; the workflow file's own folder.
``feed.files`` are searched in the base folder only. ``taxonomy.file``, ``rules.file``, ``labels.files``,
``validation.schema_file`` and a feature's ``pretrained`` or ``weights`` are searched in the base folder first, then in
the workflow file's folder. Environment variables inside values are not expanded.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.errors import InputError, Problem
from modules.feeds.files import FeedFile, find_feed_files
from modules.objectives import default_objectives, kinds_of
from modules.paths import near
from modules.settings.workflow import Workflow, features_for
from modules.taxonomy.documents import dotted
from pipeline.migrations import with_command
from pipeline.settings_errors import validate_data
from pipeline.sources import snapshot_files
from pipeline.yaml_tree import MAX_BYTES, KeyPath, read_tree

OVERRIDE = "--set"
REPOSITORY = Path(__file__).resolve().parents[1]
DEMO_WORKFLOW = REPOSITORY / "workflows" / "demo.yaml"


@dataclass(frozen=True)
class LoadedWorkflow:
    """A workflow with where it came from.

    Attributes:
      workflow: the typed settings.
      path: the workflow file, as it was named.
      folder: the base folder, absolute.
      lines: dotted key to its 1-based line in the file; None for a key that ``--set`` gave.
      snapshot: folder with a snapshot of the label store (``labels.jsonl``, ``queued.jsonl``), None without one.
      arguments: what names this workflow on the command line of ``shelfmark run``.
    """

    workflow: Workflow
    path: Path
    folder: Path
    lines: Mapping[str, int | None] = field(default_factory=dict)
    snapshot: Path | None = None
    arguments: tuple[str, ...] = ()

    @property
    def run_command(self) -> str:
        """The command that runs this workflow, for a message."""
        return shlex.join(["shelfmark", "run", *self.arguments])

    def command(self, *words: str) -> str:
        """The command line of another command with this workflow."""
        named = self.arguments if self.arguments[0] == "--demo" else ("--workflow", *self.arguments)
        return shlex.join(["shelfmark", *words, *named])

    def place(self, key: str) -> tuple[str, int | None]:
        """File and line of the dotted ``key``, or of the nearest key around it that the file has."""
        while key and key not in self.lines:
            cut = max(key.rfind("."), key.rfind("["))
            key = key[:cut] if cut > 0 else ""
        if not key:
            return str(self.path), None
        line = self.lines[key]
        return (OVERRIDE, None) if line is None else (str(self.path), line)

    def problem(self, key: str, expected: str, value: object = None, hint: str = "") -> Problem:
        """A problem with the setting at ``key``."""
        file, line = self.place(key)
        return Problem(file, expected, line=line, key=key, value=None if value is None else str(value), hint=hint)

    def find(self, name: str) -> Path:
        """The absolute path of a file that the workflow names; it need not exist (then it is in the base folder)."""
        for folder in (self.folder, self.path.resolve().parent):
            if (folder / name).exists():
                return folder / name
        return self.folder / name

    def feed_files(self) -> list[FeedFile]:
        """The files that the feeds' patterns match, feed by feed and sorted, each once; taxonomy, rules and label
        files are none of them. Of a source its last snapshot.

        Raises:
          InputError: a pattern without a match, a file of two feeds, or a source without a snapshot.
        """
        objectives = self.workflow.objectives.values()
        assignments = [self.find(file) for objective in objectives for file in objective.label_sources.files]
        others = [self.taxonomy_file, self.rules_file, *self.label_files, *assignments]
        exclude = [str(path) for path in others if path]
        listed, snapshots = bool(self.workflow.feeds), snapshot_files(self)
        return find_feed_files(self.workflow.sources, str(self.folder), exclude, listed, snapshots)

    @property
    def taxonomy_file(self) -> Path | None:
        """None where the taxonomy is built from the feed's truth."""
        return self.find(self.workflow.taxonomy.file) if self.workflow.taxonomy.file else None

    @property
    def rules_file(self) -> Path | None:
        return self.find(self.workflow.rules.file) if self.workflow.rules.file else None

    @property
    def label_files(self) -> list[Path]:
        """Those of the workflow, then the label store's: of answers at the same time the later file's counts."""
        files = [self.find(name) for name in self.workflow.labels.files]
        return files if self.snapshot is None else [*files, self.snapshot / "labels.jsonl"]

    @property
    def label_store(self) -> str | None:
        """The label store's file or address; a file that the workflow file names lies beside it, one that ``--set``
        names where the program is started."""
        store = self.workflow.labels.store
        if store is None or "://" in store or self.lines.get("labels.store") is None:
            return store
        return near(self.path.parent / store)

    @property
    def queued_file(self) -> Path | None:
        """What was queued for labelling in the label store's snapshot; None without one."""
        return None if self.snapshot is None else self.snapshot / "queued.jsonl"


@dataclass(frozen=True)
class Changes:
    """Settings of a workflow that another file has.

    Attributes:
      data: as a workflow file has them. place: file and line of a key of ``data``.
    """

    data: Mapping[str, Any]
    place: Callable[[KeyPath], tuple[str, int | None]]


def load_workflow(
    path: str | Path,
    overrides: Sequence[str] = (),
    feed_folder: str | Path | None = None,
    changes: Sequence[Changes] = (),
) -> LoadedWorkflow:
    """Reads a workflow file.

    Args:
      path: the YAML file.
      overrides: ``key.path=value`` texts, the value in YAML; later ones win.
      feed_folder: the base folder, in place of the one that the file names.
      changes: merged into the file's settings one after the other, and overridden by ``overrides``.

    Raises:
      InputError: with every problem found, each with its file, line and key.
    """
    path = Path(path)
    text = read_text(path)
    tree = read_tree(text, str(path))
    data = tree.data if tree.data is not None else {}
    if not isinstance(data, dict):
        raise InputError(Problem(str(path), "expected a mapping of settings (name: ..., feed: ..., ...)", line=1))
    lines: dict[KeyPath, int | None] = dict(tree.lines)
    problems = list(tree.problems)
    changed: dict[KeyPath, tuple[str, int | None]] = {}
    for change in changes:
        _merge(data, change, changed)
    for override in _in_order(overrides):
        problems += _override(data, lines, override)

    def place(key: KeyPath) -> tuple[str, int | None]:
        while key and key not in lines and key not in changed:
            key = key[:-1]
        if not key:
            return str(path), None
        if key in changed and lines.get(key, 0) is not None:
            return changed[key]
        return (OVERRIDE, None) if lines[key] is None else (str(path), lines[key])

    workflow, workflow_problems = validate_data(data, place)
    problems += workflow_problems
    if workflow is None or problems:
        raise InputError(with_command(problems, text, str(path)))
    folder, problem = _base_folder(workflow, path, feed_folder)
    if problem:
        raise InputError(problem)
    arguments = [str(path) if path.absolute() != DEMO_WORKFLOW else "--demo"]
    arguments += [part for override in overrides for part in ("--set", override)]
    arguments += ["--feed", str(feed_folder)] if feed_folder is not None else []
    where = {dotted(key): line for key, line in lines.items()}
    return LoadedWorkflow(workflow, path, folder, where, arguments=tuple(arguments))


def only_workflow(folder: Path | None = None) -> Path:
    """The only workflow file of a folder, the current one where none is given, as a person would name it.

    Raises:
      InputError: there is none, or there are several.
    """
    there = _workflows(folder or Path(), "*")
    if len(there) == 1:
        return there[0]
    if there:
        names = ", ".join(str(path) for path in there[:8]) + (", ..." if len(there) > 8 else "")
        raise InputError(
            Problem("", f"expected one workflow file here; there are {len(there)}: {names}", hint=_NAME_IT)
        )
    hint = "`shelfmark init FEED...` writes one for your files, and `shelfmark run --demo` runs the demo"
    below = _workflows(folder or Path(), "*/*")
    if below:
        hint = f"name one: {', '.join(str(path) for path in below[:3])}; {hint}"
    raise InputError(Problem("", "expected a workflow: none is named, and this folder holds none", hint=hint))


_NAME_IT = "name the one that you mean"


def _workflows(folder: Path, pattern: str) -> list[Path]:
    """The files that are workflows by their top-level keys, mistakes in them or not."""
    paths = sorted({*folder.glob(f"{pattern}.yaml"), *folder.glob(f"{pattern}.yml")})
    return [path for path in paths if path.is_file() and _like_a_workflow(path)]


def _like_a_workflow(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return False
    return all(re.search(rf"^(?:{key})\s*:", text, re.MULTILINE) for key in ("name", "feed|feeds"))


def read_text(path: Path) -> str:
    """The text of a workflow file, without a byte order mark.

    Raises:
      InputError: the file cannot be read, is too large or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "`shelfmark init FEED...` writes one" if isinstance(error, FileNotFoundError) else ""
        raise InputError(Problem(str(path), f"expected a workflow file: {error.strerror}", hint=hint)) from None
    if len(raw) > MAX_BYTES:
        raise InputError(Problem(str(path), f"expected at most {MAX_BYTES:,} bytes"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(Problem(str(path), "expected UTF-8 text", line=line)) from None


def _in_order(overrides: Sequence[str]) -> list[str]:
    """As given, but features and objectives last: their defaults depend on ``feed.fields`` and ``rules.file``."""
    return sorted(overrides, key=lambda text: text.startswith(("features.", "objectives.")))


def _override(data: dict[str, Any], lines: dict[KeyPath, int | None], text: str) -> list[Problem]:
    """Puts one ``key.path=value`` into ``data``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # An argument of bytes that are none, as Python hands them over.
        return [Problem(OVERRIDE, "expected UTF-8 text", value=text)]
    key, equals, value_text = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        hint = "for example --set training.epochs=5"
        return [Problem(OVERRIDE, "expected key.path=value", value=text, hint=hint)]
    try:
        tree = read_tree(value_text, OVERRIDE)
    except InputError as error:
        return [Problem(OVERRIDE, p.expected, key=key, value=value_text) for p in error.problems]
    if tree.problems:
        return [Problem(OVERRIDE, p.expected, key=key, value=value_text) for p in tree.problems]
    if len(path) > 1 and path[0] not in data:
        _fill_default(data, path[0])
    parent: Any = data
    for depth, part in enumerate(path[:-1]):
        if parent.get(part) is None:
            parent[part] = {}
            lines[path[: depth + 1]] = None
        parent = parent[part]
        if not isinstance(parent, dict):
            where = dotted(path[: depth + 1])
            return [Problem(OVERRIDE, f"expected a key; {where} is no mapping", key=key, value=value_text)]
    parent[path[-1]] = tree.data
    for known in [known for known in lines if known[: len(path)] == path]:
        del lines[known]
    lines[path] = None
    return []


def _merge(data: dict[str, Any], change: Changes, changed: dict[KeyPath, tuple[str, int | None]]) -> None:
    """Puts a file's changes into ``data``, and where each of their keys stands into ``changed``."""
    for section, value in change.data.items():
        if section not in data and isinstance(value, dict):
            _fill_default(data, section)
    pending: list[tuple[dict[str, Any], Mapping[str, Any], KeyPath]] = [(data, change.data, ())]
    while pending:
        target, source, above = pending.pop()
        for key, value in source.items():
            path = (*above, key)
            before = target.get(key)
            if value is None and above in (("features",), ("objectives",)):
                target.pop(key, None)
                if above == ("objectives",):
                    _forget_thresholds(data, key)
            elif not isinstance(value, dict) or not isinstance(before, dict) or _of_another_kind(before, value):
                target[key] = value
            else:
                # A copy: settings that were merged before may be another arm's, too.
                target[key] = dict(before)
                pending.append((target[key], value, path))
    deeper: list[tuple[Any, KeyPath]] = [(change.data, ())]
    while deeper:
        value, above = deeper.pop()
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, tuple) else ()
        for part, item in entries:
            changed[*above, part] = change.place((*above, part))
            deeper.append((item, (*above, part)))


def _forget_thresholds(data: dict[str, Any], objective: str) -> None:
    """What an objective that is taken out would have had to reach."""
    evaluation = data.get("evaluation")
    thresholds = evaluation.get("thresholds") if isinstance(evaluation, dict) else None
    if isinstance(evaluation, dict) and isinstance(thresholds, dict):
        kept = {name: value for name, value in thresholds.items() if name != objective}
        data["evaluation"] = {**evaluation, "thresholds": kept}


def _of_another_kind(before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether a mapping names another kind, whose settings are others."""
    return any(tag in value and value[tag] != before.get(tag) for tag in ("kind", "solver"))


def _fill_default(data: dict[str, Any], section: str) -> None:
    """``--set features.title.vocabulary=100`` changes one of the default features; it does not replace them all."""
    if section == "features":
        data[section] = {name: feature.model_dump() for name, feature in features_for(data).items()}
    elif section == "objectives":
        rules = data.get("rules")
        objectives = default_objectives(rules=isinstance(rules, dict) and bool(rules.get("file")))
        data[section] = {name: {"kind": kind} for name, kind in kinds_of(objectives).items()}


def _base_folder(workflow: Workflow, path: Path, given: str | Path | None) -> tuple[Path, Problem | None]:
    feed = workflow.feed
    named_by, folder = "", path.parent
    if given is not None:
        named_by, folder = "--feed", Path(given)
    elif feed.folder_env and os.environ.get(feed.folder_env):
        named_by, folder = f"environment variable {feed.folder_env}", Path(os.environ[feed.folder_env])
    elif feed.folder is not None:
        folder = path.parent / feed.folder
    elif feed.demo is not None:
        folder = Path(workflow.runners.local.folder) / f"{workflow.name}-catalogue"
    elif feed.folder_env:
        expected = f"expected a folder: give --feed DIR or set the environment variable {feed.folder_env}"
        return folder, Problem(str(path), expected, key="feed.folder")
    if named_by and feed.demo is None and not folder.is_dir():
        return folder, Problem(named_by, "expected a folder that exists", value=str(folder))
    return Path(os.path.abspath(folder)), None
