"""``model`` and ``training`` as they were before they became unions: flat, every kind with the keys of all.

Written down from the version before, and used as the oracle of what an old workflow meant: the values that the kind in
question read, with its defaults.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

GRADIENT = ("linear", "deep", "wide_deep")
NEURAL = ("deep", "wide_deep")
KINDS = ("linear", "lsa", "deep", "wide_deep")

MODEL: dict[str, tuple[Any, tuple[str, ...], st.SearchStrategy[Any]]] = {
    "text_input": ("embedding_bag", NEURAL, st.sampled_from(["embedding_bag", "histogram"])),
    "hidden": ((256,), NEURAL, st.lists(st.integers(1, 64), min_size=1, max_size=3)),
    "activation": ("relu", NEURAL, st.sampled_from(["relu", "gelu", "tanh", "selu", "elu"])),
    "dropout": (0.2, NEURAL, st.sampled_from([0.0, 0.1, 0.5])),
    "input_dropout": (0.0, GRADIENT, st.sampled_from([0.0, 0.1])),
    "normalization": ("none", NEURAL, st.sampled_from(["none", "batch", "layer"])),
    "l2": (0.0, GRADIENT, st.sampled_from([0.0, 1e-3])),
    "embedding_width": (None, ("linear", "lsa"), st.sampled_from([None, 16])),
    "joint": ((256,), NEURAL, st.sampled_from([[256], [8], [16, 8]])),
}
"""Key to its default, the kinds that read it, and values."""

TRAINING: dict[str, tuple[Any, tuple[str, ...], st.SearchStrategy[Any]]] = {
    "liblinear_c": (1.0, ("liblinear",), st.sampled_from([0.5, 2.0])),
    "batch_size": (128, ("adam",), st.integers(1, 512)),
    "epochs": (30, ("adam",), st.integers(1, 50)),
    "learning_rate": (2e-3, ("adam",), st.sampled_from([1e-3, 0.1])),
    "learning_rate_decay": ("cosine", ("adam",), st.sampled_from(["none", "cosine"])),
    "patience": (5, ("adam",), st.integers(0, 9)),
    "monitor": ("loss", ("adam",), st.sampled_from(["loss", "accuracy"])),
    "clip_norm": (1.0, ("adam",), st.sampled_from([None, 0.5])),
    "refit_on_eval": (False, ("adam", "liblinear"), st.booleans()),
    "mixed_precision": ("auto", ("adam", "liblinear"), st.sampled_from(["auto", "on", "off"])),
    "checkpoint": (True, ("adam", "liblinear"), st.booleans()),
}


def meant(model: dict[str, Any], training: dict[str, Any], *, pictured: bool) -> dict[str, Any]:
    """What the version before read of the two sections: key to value, of those that had an effect."""
    kind, solver = model.get("kind", "wide_deep"), training.get("solver", "adam")
    values: dict[str, Any] = {"model.kind": kind, "training.solver": solver}
    for key, (default, readers, _) in MODEL.items():
        stepless = key in ("input_dropout", "l2") and solver == "liblinear"
        if kind in readers and not stepless and (key != "joint" or pictured):
            values[f"model.{key}"] = _plain(model.get(key, default))
    for key, (default, readers, _) in TRAINING.items():
        if solver in readers:
            values[f"training.{key}"] = training.get(key, default)
    return values


def read(model: Any, training: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """The same of today's settings, by the keys of ``wanted``."""
    sections = {"model": model, "training": training}
    return {key: _plain(getattr(sections[key.split(".")[0]], key.split(".")[1], None)) for key in wanted}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


@st.composite
def sections(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """An old ``model`` and ``training`` that go together, with any keys of any kind in any order."""
    solver = draw(st.sampled_from(["adam", "liblinear"]))
    kind = draw(st.sampled_from(["linear", "lsa"] if solver == "liblinear" else list(GRADIENT)))
    return _section(draw, "kind", kind, "wide_deep", MODEL), _section(draw, "solver", solver, "adam", TRAINING)


def _section(draw: st.DrawFn, tag: str, kind: str, default: str, keys: dict[str, Any]) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(list(keys)), unique=True))
    section = {name: draw(keys[name][2]) for name in names}
    if kind != default or draw(st.booleans()):
        section[tag] = kind
    return {name: section[name] for name in draw(st.permutations(list(section)))}
