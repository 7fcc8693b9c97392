"""ProductExampleGen: product feeds, labels and rules to examples in three splits."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifact_types import ProductTaxonomy, Quarantine
from components.product_example_gen.driver import ProductExampleGenDriver
from components.product_example_gen.executor import ProductExampleGenExecutor


class ProductExampleGenSpec(ComponentSpec):
    """What the component takes and gives."""

    PARAMETERS = {
        "settings_json": ExecutionParameter(type=str),
        "folder": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {}
    OUTPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "quarantine": ChannelParameter(type=Quarantine),
        "taxonomy": ChannelParameter(type=ProductTaxonomy),
    }


class ProductExampleGen(base_beam_component.BaseBeamComponent):
    """Reads the feeds, cleans, joins labels, evaluates rules, splits.

    Args:
      settings_json: :class:`modules.feeds.plan.ExampleSettings` as JSON (``ExampleSettings.of(workflow)``).
      folder: what file names in the settings are relative to.
      fingerprint: of the input files' content; the driver sets it when the component runs, so that changed files are
        never served from the cache. Only where drivers do not run (Kubeflow) it has to be given.

    Outputs: ``examples`` (train, eval, test; see :mod:`modules.examples`), ``quarantine``, ``taxonomy``.
    """

    SPEC_CLASS = ProductExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ProductExampleGenExecutor)
    DRIVER_CLASS = ProductExampleGenDriver

    def __init__(self, settings_json: str, folder: str, fingerprint: str = ""):
        super().__init__(
            ProductExampleGenSpec(
                settings_json=settings_json,
                folder=folder,
                fingerprint=fingerprint,
                examples=types.Channel(type=standard_artifacts.Examples),
                quarantine=types.Channel(type=Quarantine),
                taxonomy=types.Channel(type=ProductTaxonomy),
            )
        )
