"""``model`` and ``training`` became unions: each kind of model and each solver takes its own keys alone.

Before, every kind took the keys of all kinds and read its own. What nothing read is removed here, also where a search
or a run parameter named it. A key that a search used for another kind is left to a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modules.taxonomy.documents import dotted
from pipeline.migrations.base import Change, Decision, Removal
from pipeline.yaml_tree import KeyPath

_NEURAL = ("deep", "wide_deep")
_GRADIENT = ("linear", *_NEURAL)
_MODEL: Mapping[str, Collection[str]] = {
    "text_input": _NEURAL, "hidden": _NEURAL, "activation": _NEURAL, "dropout": _NEURAL, "normalization": _NEURAL,
    "joint": _NEURAL, "input_dropout": _GRADIENT, "l2": _GRADIENT, "embedding_width": ("linear", "lsa"),
}  # fmt: skip
"""Key of ``model`` to the kinds that read it; ``kind`` and ``modality_dropout`` are read for all of them."""
_TRAINING: Mapping[str, Collection[str]] = {
    "liblinear_c": ("liblinear",),
    **dict.fromkeys(
        ("batch_size", "epochs", "learning_rate", "learning_rate_decay", "patience", "monitor", "clip_norm"), ("adam",)
    ),
}
_STEPS_ONLY = ("input_dropout", "l2")
"""Keys of ``model`` that liblinear reads of no kind, since it trains without steps."""
_JOINT = (256,)
"""The default of ``model.joint``, which is no error without an image feature."""
_PARAMETERS = ("training.epochs", "training.batch_size", "training.learning_rate")
"""Run parameters by default, which a workflow need not have."""


@dataclass(frozen=True)
class _Section:
    """A section that became a union: its key in the workflow, the key that tells kinds apart, and who reads what."""

    name: str
    tag: str
    default: str
    kinds: Collection[str]
    readers: Mapping[str, Collection[str]]

    def kind_of(self, settings: Any) -> str | None:
        """The kind of the section with these settings; None if it is none that there was."""
        kind = settings.get(self.tag, self.default) if isinstance(settings, dict) else self.default
        return kind if kind in self.kinds else None


_SECTIONS = (
    _Section("model", "kind", "wide_deep", (*_GRADIENT, "lsa"), _MODEL),
    _Section("training", "solver", "adam", ("adam", "liblinear"), _TRAINING),
)


@dataclass(frozen=True)
class _Use:
    """What a model's settings are used with.

    Attributes:
      kinds: section to the kinds that are trained: the written one first, then those that a search tries.
      pictured: the workflow has an image feature.
      search: keys of ``tuning.search``; none for a member of a committee.
    """

    kinds: Mapping[str, tuple[str, ...]]
    pictured: bool
    search: Collection[str] = ()

    def idle(self, section: _Section, key: str) -> str:
        """Why nothing reads ``key`` of the section, whichever kind is trained; empty if something does."""
        kinds, solvers = self.kinds[section.name], self.kinds["training"]
        readers = section.readers.get(key, kinds)
        if not set(readers) & set(kinds):
            return f"only {section.tag}: {_either(readers)} reads it, and this is {_either(kinds)}"
        if key in _STEPS_ONLY and set(solvers) == {"liblinear"}:
            return "solver: liblinear trains without steps and never read it"
        if key in ("joint", "modality_dropout") and not self.pictured:
            return "there is no image feature, without which nothing read it"
        return ""


def _either(names: Collection[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def step(data: dict[str, Any], file: str) -> Iterator[Change | Decision]:
    """Removes what nothing read."""
    tuning = data.get("tuning")
    search = tuning.get("search") if isinstance(tuning, dict) else None
    search = search if isinstance(search, dict) else {}
    kinds = {section.name: _kinds(section, data.get(section.name), search) for section in _SECTIONS}
    features = data.get("features")
    pictured = isinstance(features, dict) and any(
        isinstance(feature, dict) and feature.get("kind") == "image" for feature in features.values()
    )
    use = _Use(kinds, pictured, search)
    for section in _SECTIONS:
        if kinds[section.name]:
            yield from _settings(section, data.get(section.name), (section.name,), use)
    yield from _members(data, use)
    if all(kinds.values()):
        yield from _searched(search, use)
        yield from _parameters(data, use)


def _kinds(section: _Section, settings: Any, search: Mapping[str, Any]) -> tuple[str, ...]:
    """The written kind, then those that ``search`` tries; none if the written one is not known."""
    own = section.kind_of(settings)
    if own is None:
        return ()
    tried = search.get(f"{section.name}.{section.tag}")
    choices = tried.get("choices") if isinstance(tried, dict) else None
    others = [choice for choice in choices if choice in section.kinds] if isinstance(choices, tuple) else []
    return tuple(dict.fromkeys((own, *others)))


def _settings(section: _Section, settings: Any, path: KeyPath, use: _Use) -> Iterator[Change | Decision]:
    """The keys of one section, of the workflow or of a member."""
    own, *others = use.kinds[section.name]
    for key, value in settings.items() if isinstance(settings, dict) else ():
        why = use.idle(section, key)
        readers = section.readers.get(key, (own,))
        if own in readers and (not value or (key == "joint" and value == _JOINT)):
            # It says what the kind does anyway, which is no error.
            continue
        if why and (key != "modality_dropout" or len(path) > 1):
            yield Removal((*path, key), why)
        elif own not in readers and f"{section.name}.{key}" in use.search:
            yield Removal((*path, key), f"tuning.search.{section.name}.{key} says what is tried")
        elif own not in readers:
            tried = _either([kind for kind in others if kind in readers])
            why = f"this is {section.tag}: {own}, which does not read it; the search trains {tried} as well, which does"
            write = f"the value in tuning.search, as {section.name}.{key}: {{choices: [...]}}, and delete it here"
            yield Decision((*path, key), why, write)


def _members(data: dict[str, Any], use: _Use) -> Iterator[Change | Decision]:
    """The members of a committee, each of which has a model of its own, and the workflow's training or its own."""
    committee = data.get("committee")
    members = committee.get("kinds") if isinstance(committee, dict) else None
    for number, member in enumerate(members if isinstance(members, tuple) else ()):
        if not isinstance(member, dict):
            continue
        place: KeyPath = ("committee", "kinds", number)
        kinds = {section.name: _kinds(section, member.get(section.name), {}) for section in _SECTIONS}
        if member.get("training") is None:
            kinds["training"] = use.kinds["training"]
        if all(kinds.values()):
            own = _Use(kinds, use.pictured)
            for section in _SECTIONS:
                yield from _settings(section, member.get(section.name), (*place, section.name), own)


def _searched(search: Mapping[str, Any], use: _Use) -> Iterator[Change | Decision]:
    """Settings that a search tried in vain."""
    removals: list[Removal] = []
    for name, values in search.items():
        for section in _SECTIONS:
            top, _, key = name.partition(".")
            if top != section.name or key not in section.readers:
                continue
            why = use.idle(section, key)
            kinds = set(use.kinds[section.name])
            if why and (not kinds & set(section.readers[key]) or _tries_something(values, key)):
                removals.append(Removal(("tuning", "search", name), f"{why}: all its values gave the same model"))
    if removals and len(removals) == len(search):
        names = ", ".join(dotted(removal.path[2:]) for removal in removals)
        yield Removal(("tuning",), f"it only tried {names}, which nothing read: all trials were the same")
    else:
        yield from removals


def _tries_something(values: Any, key: str) -> bool:
    """Whether a search tries a value that is an error now."""
    tried = values.get("choices") or (values.get("low"), values.get("high")) if isinstance(values, dict) else ()
    return any(value != _JOINT if key == "joint" else bool(value) for value in tried)


def _parameters(data: dict[str, Any], use: _Use) -> Iterator[Change | Decision]:
    """Run parameters of a package for Kubeflow that changed nothing."""
    node: Any = data
    path = ("runners", "kubeflow", "parameters")
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    for number, name in enumerate(node if isinstance(node, tuple) else ()):
        for section in _SECTIONS:
            top, _, key = str(name).partition(".")
            kinds = set(use.kinds[section.name])
            known = top == section.name and key in section.readers and name not in _PARAMETERS
            if known and not kinds & set(section.readers[key]):
                yield Removal((*path, number), f"it names {name}: {use.idle(section, key)}")
