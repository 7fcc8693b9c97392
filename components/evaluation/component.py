"""ProductEvaluator: TFX's Evaluator, configured out of the taxonomy that the examples were made with."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_component_specs import EvaluatorSpec

from components.artifact_types import ProductTaxonomy
from components.evaluation.executor import ProductEvaluatorExecutor


class ProductEvaluatorSpec(ComponentSpec):
    """What ProductEvaluator takes and gives."""

    PARAMETERS = {"workflow": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "taxonomy": ChannelParameter(type=ProductTaxonomy),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = EvaluatorSpec.OUTPUTS
    TYPE_ANNOTATION = EvaluatorSpec.TYPE_ANNOTATION


class ProductEvaluator(base_beam_component.BaseBeamComponent):
    """Evaluates a model on the test products with TFMA, and blesses it if it reaches the workflow's thresholds.

    TFX's own Evaluator takes the whole configuration as a parameter. Ours names every category, and a command line's
    argument ends at 128 KiB: with the taxonomy as an input there is no limit to the categories, and a package for
    Kubeflow need not be compiled again when they change.

    Args:
      examples: raw examples with the split test.
      model: with the signature ``evaluate`` of ``modules.training.export``.
      taxonomy: of the ProductExampleGen that made the examples.
      workflow: the parts ``objectives`` and ``evaluation`` of the workflow, as JSON.
      baseline_model: the last blessed model, which the new one is compared with; none: a first model.

    Outputs ``evaluation`` (TFMA's files) and ``blessing``.
    """

    SPEC_CLASS = ProductEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ProductEvaluatorExecutor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        taxonomy: types.BaseChannel,
        workflow: str,
        baseline_model: types.BaseChannel | None = None,
    ):
        super().__init__(
            ProductEvaluatorSpec(
                examples=examples,
                model=model,
                taxonomy=taxonomy,
                workflow=workflow,
                baseline_model=baseline_model,
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
