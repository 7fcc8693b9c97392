"""What every way of training promises, tried on all of them alike, with each kind of model that it trains."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from modules.models import KINDS
from modules.models.base import ModelSettings
from modules.training.data import batches
from modules.training.member import fit_member, full_precision_model
from modules.training.methods import WAYS, TrainingSettings
from modules.training.run import prepared
from tests.encoders import tiny_encoder
from tests.modules.training import catalogue
from tests.modules.training.shared import Built

FEATURES = ("title", "brand")
PAIRS = [(way, kind) for way in WAYS for kind in KINDS if way.trains(kind)]


def name_of(settings: type[TrainingSettings] | type[ModelSettings]) -> str:
    tag = "solver" if issubclass(settings, TrainingSettings) else "kind"
    return str(settings.model_fields[tag].default)


def test_every_way_trains_some_kind_and_every_kind_is_trained() -> None:
    assert {way for way, _ in PAIRS} == set(WAYS) and {kind for _, kind in PAIRS} == set(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize(("way", "kind"), PAIRS, ids=lambda settings: name_of(settings))
def test_it_lowers_each_objectives_loss_and_says_what_it_did(
    built: Built, tmp_path: Path, way: type[TrainingSettings], kind: type[ModelSettings]
) -> None:
    few = {"epochs": 2, "batch_size": 32} if "epochs" in way.model_fields else {}
    features = (*FEATURES, *(("meaning",) if kind.knows_names else ()))
    workflow = built.settings(
        features, model={"kind": name_of(kind)}, training={"solver": name_of(way), "mixed_precision": "off", **few}
    )
    if kind.knows_names:
        encoder = str(tiny_encoder(tmp_path / "tiny", width=6, heads=2))
        reads_names = workflow.features["meaning"].model_copy(update={"encoder": encoder})
        workflow = workflow.model_copy(update={"features": {**workflow.features, "meaning": reads_names}})
    ready = prepared(workflow, catalogue.TREE, built.transform, [built.files["train"]], [built.files["eval"]])
    # A kind that chooses is trained as the one that it stands for.
    data, workflow = ready.data, ready.chosen.workflow

    def losses(model: keras.Model) -> dict[str, float]:
        (batch,) = batches(
            data.train, workflow.features, workflow.objectives, data.sizes.classes, batch_size=10_000, once=True
        )
        inputs, targets = batch
        outputs = model(inputs, training=False)
        assert all(np.isfinite(value).all() for value in outputs.values())
        return {name: float(loss(targets[name], outputs[name])) for name, loss in data.losses.items()}

    before = losses(full_precision_model(workflow, data.sizes))
    model, result = fit_member(workflow, catalogue.TREE, data)
    after = losses(model)
    assert all(after[name] < before[name] for name in workflow.objectives), (before, after)
    assert result.seconds > 0.0 and 0 <= result.best_epoch <= result.epochs
    assert all(len(values) == result.epochs for values in result.history.values())
    again, second = fit_member(workflow, catalogue.TREE, data, first=result)
    assert second.epochs == (0 if way.exact else max(1, result.best_epoch))
    assert all(value < before[name] for name, value in losses(again).items())
