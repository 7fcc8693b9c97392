"""ActiveSampler: predictions and labels in, the next batch of questions and the suspected label errors out."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, Model

from components.active_sampler.driver import ActiveSamplerDriver
from components.active_sampler.executor import ActiveSamplerExecutor
from components.artifact_types import LabellingBatch, LabelReview, Predictions, ProductTaxonomy, Record


class ActiveSamplerSpec(ComponentSpec):
    """What ActiveSampler takes and gives."""

    PARAMETERS = {
        "workflow": ExecutionParameter(type=str),
        "labels": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "predictions": ChannelParameter(type=Predictions),
        "taxonomy": ChannelParameter(type=ProductTaxonomy),
        "examples": ChannelParameter(type=Examples),
        "model": ChannelParameter(type=Model),
    }
    OUTPUTS = {
        "labelling_batch": ChannelParameter(type=LabellingBatch),
        "batch_record": ChannelParameter(type=Record),
        "label_review": ChannelParameter(type=LabelReview),
    }


class ActiveSampler(base_component.BaseComponent):
    """Picks the products that people are asked about next, and the labels that somebody should look at again.

    Args:
      predictions: of all splits. taxonomy: of the ProductExampleGen that made the examples.
      examples, model: that the predictions were made of, and by: strategies that need the probabilities of all classes
        have them looked up for some candidates.
      workflow: the parts of the workflow that the batch depends on, as JSON.
      labels: JSON object: ``folder``, ``files`` (label files, relative to it) and ``queue`` (open questions, or null).
      fingerprint: of the label files and the queue; the driver sets it. Only where drivers do not run (Kubeflow) it has
        to be given.
    """

    SPEC_CLASS = ActiveSamplerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ActiveSamplerExecutor)
    DRIVER_CLASS = ActiveSamplerDriver

    def __init__(
        self,
        predictions: types.BaseChannel,
        taxonomy: types.BaseChannel,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        workflow: str,
        labels: str,
        fingerprint: str = "",
    ):
        super().__init__(
            ActiveSamplerSpec(
                predictions=predictions,
                taxonomy=taxonomy,
                examples=examples,
                model=model,
                workflow=workflow,
                labels=labels,
                fingerprint=fingerprint,
                labelling_batch=types.Channel(type=LabellingBatch),
                batch_record=types.Channel(type=Record),
                label_review=types.Channel(type=LabelReview),
            )
        )
