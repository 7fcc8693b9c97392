"""The whole DAG on one screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfx.components import Transform
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, transform_pb2
from tfx.types import BaseChannel, Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components.active_sampler.component import ActiveSampler
from components.class_metrics.component import ClassMetrics
from components.evaluation.component import ProductEvaluator
from components.example_validator.component import ProductValidator
from components.index_pusher.component import IndexPusher
from components.predictor.component import Predictor
from components.product_example_gen.component import ProductExampleGen
from components.published_predictor.component import PublishedPredictor
from components.pusher.component import WholePusher
from components.scann_index.component import ScannIndex
from components.statistics_gen.component import product_statistics
from components.trainer.component import ProductTrainer
from components.tuner.component import ProductTuner
from modules.features import encodings_of
from modules.feeds.schema import with_statistics
from modules.settings.workflow import Workflow
from pipeline.beam import beam_arguments
from pipeline.inputs import example_inputs, sampling_labels, training_inputs, transform_features
from pipeline.workflow_file import LoadedWorkflow

_LEARNT = ("name", "seed", "features", "encodings", "objectives", "model", "training")
PARTS = {
    "Transform": {"name", "features"},
    "Tuner": {*_LEARNT, "tuning"},
    "Trainer": {*_LEARNT, "committee", "prediction", "similarity"},
    "Evaluator": {"name", "objectives", "evaluation"},
    "ClassMetrics": {"name", "objectives", "evaluation"},
    "Predictor": {"name", "objectives", "prediction", "committee"},
    "ActiveSampler": {"name", "seed", "objectives", "sampling", "committee"},
    "ScannIndex": {"name", "seed", "objectives", "similarity"},
}
"""The settings that each component sees: what it does not see cannot invalidate its cache."""


@dataclass(frozen=True)
class Places:
    """Where a runner keeps things: folders or object store prefixes.

    Attributes:
      root: pipeline root.
      pushed, pushed_indexes: where blessed models and similarity indexes go.
      checkpoints: where a killed training finds its checkpoints again; None: nowhere.
      encodings: where vectors of texts are kept, unless the workflow says where; None: nowhere.
      schema: the schema file (pbtxt) that products are validated against.
    """

    root: str
    pushed: str
    pushed_indexes: str
    schema: str
    checkpoints: str | None = None
    encodings: str | None = None


def create_pipeline(
    loaded: LoadedWorkflow,
    places: Places,
    *,
    metadata_connection_config: Any = None,
    enable_cache: bool = True,
) -> Pipeline:
    """The workflow as a TFX pipeline, the same for every runner."""
    workflow, checksums = training_inputs(loaded, places.encodings)
    example_gen = ProductExampleGen(*example_inputs(loaded, workflow))
    examples, tree = example_gen.outputs["examples"], example_gen.outputs["taxonomy"]
    statistics_gen = _statistics(workflow, examples)
    schema_gen = ImportSchemaGen(schema_file=places.schema)
    schema = schema_gen.outputs["schema"]
    validator = ProductValidator(
        statistics_gen.outputs["statistics"], schema, workflow.validation.stop_on_anomalies
    ).with_id("ExampleValidator")
    transform = _transform(workflow, examples, schema)
    # Anomalies stop the run before anything is learnt from them.
    transform.add_upstream_node(validator)
    tuner, trainer = _learners(workflow, checksums, places, transform, tree)
    model = trainer.outputs["model"]
    blessed = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id("LastBlessedModel")
    last_blessed = blessed.outputs["model"]
    evaluator = ProductEvaluator(
        examples, model, tree, _settings("Evaluator", workflow), baseline_model=last_blessed
    ).with_id("Evaluator")
    blessing = evaluator.outputs["blessing"]
    pusher = _pusher(model, blessing, places.pushed)
    predictor = Predictor(examples, model, tree, _settings("Predictor", workflow))
    predictions = predictor.outputs["predictions"]
    class_metrics = _class_metrics(workflow, evaluator.outputs["evaluation"], tree, predictions)
    published = PublishedPredictor(examples, model, blessing, predictions, tree, last_blessed)
    sampler = []
    if workflow.sampling is not None and (workflow.sampling.objectives or workflow.single_label_objectives):
        settings = _settings("ActiveSampler", workflow)
        sampler = [ActiveSampler(predictions, tree, examples, model, settings, sampling_labels(loaded))]
    index = []
    if workflow.similarity is not None:
        scann_index = ScannIndex(predictions, model, tree, _settings("ScannIndex", workflow))
        index_pusher = IndexPusher(scann_index.outputs["similarity_index"], model, blessing, places.pushed_indexes)
        index = [scann_index, index_pusher]
    components = [
        example_gen, statistics_gen, schema_gen, validator, transform, *tuner, trainer, blessed, evaluator,
        class_metrics, pusher, predictor, published, *sampler, *index,
    ]  # fmt: skip
    for component in components:
        if isinstance(component, BaseBeamComponent):
            component.with_beam_pipeline_args(beam_arguments(workflow.beam.of(component.id), loaded.find))
    return Pipeline(
        pipeline_name=workflow.name,
        pipeline_root=places.root,
        components=components,
        metadata_connection_config=metadata_connection_config,
        enable_cache=enable_cache,
    )


_ACCEPTING = {"Predictor", "ClassMetrics"}
"""All others need not run again when another precision is asked for."""


def _settings(component: str, workflow: Workflow) -> str:
    if component not in _ACCEPTING:
        objectives = {name: objective.with_acceptance(None) for name, objective in workflow.objectives.items()}
        workflow = workflow.model_copy(update={"objectives": objectives})
    return workflow.model_dump_json(include=PARTS[component])


def _class_metrics(
    workflow: Workflow, evaluation: BaseChannel, taxonomy: BaseChannel, predictions: BaseChannel
) -> ClassMetrics:
    """Waits for the predictions only where some of them are accepted."""
    accepts = any(objective.accepts is not None for objective in workflow.objectives.values())
    settings = _settings("ClassMetrics", workflow)
    return ClassMetrics(evaluation, taxonomy, settings, predictions if accepts else None)


def _statistics(workflow: Workflow, examples: Any) -> Any:
    """Of pictures' bytes and texts' vectors there is nothing to say; of several retailers each one's statistics are of
    interest."""
    features = with_statistics(workflow) if workflow.images or encodings_of(workflow.features) else None
    return product_statistics(examples, features, by_retailer=len(workflow.sources) > 1)


def _transform(workflow: Workflow, examples: BaseChannel, schema: BaseChannel) -> Transform:
    return Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="modules.preprocessing.transform.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        custom_config={"workflow": _settings("Transform", transform_features(workflow))},
        # Statistics of transformed examples cost a third of the component's time, and nobody looks at them.
        disable_statistics=True,
    )


def _learners(
    workflow: Workflow, checksums: dict[str, str], places: Places, transform: Transform, taxonomy: BaseChannel
) -> tuple[list[ProductTuner], ProductTrainer]:
    """Trainer, and the Tuner before it if the workflow has ``tuning``.

    Args:
      workflow, checksums: as :func:`pipeline.inputs.training_inputs` gives them.
    """
    inputs = (transform.outputs["transformed_examples"], transform.outputs["transform_graph"], taxonomy)

    searched = workflow.similarity.for_training if workflow.similarity is not None else None
    learnt = workflow.model_copy(update={"similarity": searched})

    def custom_config(component: str) -> dict[str, Any]:
        # The checksums make a changed file a changed input.
        return {
            "workflow": _settings(component, learnt),
            "checkpoints": places.checkpoints,
            "weights": checksums,
        }

    tuner = []
    if workflow.tuning is not None:
        tuner = [ProductTuner(*inputs, "modules.tuning.search.tuner_fn", custom_config("Tuner")).with_id("Tuner")]
    trainer = ProductTrainer(
        *inputs,
        "modules.training.run.run_fn",
        custom_config("Trainer"),
        tuner[0].outputs["best_hyperparameters"] if tuner else None,
    )
    return tuner, trainer.with_id("Trainer")


def _pusher(model: BaseChannel, blessing: BaseChannel, folder: str) -> WholePusher:
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=folder)
    return WholePusher(
        model=model,
        model_blessing=blessing,
        push_destination=pusher_pb2.PushDestination(filesystem=filesystem),
    ).with_id("Pusher")
