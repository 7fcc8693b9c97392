"""The whole DAG on one screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfx import v1 as tfx

from components.class_metrics.component import ClassMetrics
from components.evaluation.config import MODULE as EVALUATION_MODULE
from components.example_validator.component import ProductValidator
from components.predictor.component import Predictor
from components.product_example_gen.component import ProductExampleGen
from components.trainer.component import ProductTrainer
from modules.taxonomy import Taxonomy
from pipeline.evaluation import eval_config, objective_evals
from pipeline.inputs import example_inputs
from pipeline.workflow_file import LoadedWorkflow

PARTS = {
    "Transform": {"name", "features"},
    "Trainer": {"name", "seed", "features", "objectives", "model", "training", "prediction"},
    "Predictor": {"name", "objectives", "prediction"},
}
"""The settings that each component sees: what it does not see cannot invalidate its cache."""


@dataclass(frozen=True)
class Places:
    """Where a runner keeps things: folders or object store prefixes.

    Attributes:
      root: pipeline root.
      pushed: where blessed models go.
      checkpoints: where a killed training finds its checkpoints again; None: nowhere.
      schema: the schema file (pbtxt) that products are validated against.
    """

    root: str
    pushed: str
    schema: str
    checkpoints: str | None = None


def create_pipeline(
    loaded: LoadedWorkflow,
    taxonomy: Taxonomy,
    places: Places,
    *,
    metadata_connection_config: Any = None,
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """The workflow as a TFX pipeline, the same for every runner."""
    workflow = loaded.workflow

    def settings(component: str) -> str:
        return workflow.model_dump_json(include=PARTS[component])

    example_gen = ProductExampleGen(*example_inputs(loaded))
    examples, tree = example_gen.outputs["examples"], example_gen.outputs["taxonomy"]
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    schema_gen = tfx.components.ImportSchemaGen(schema_file=places.schema)
    schema = schema_gen.outputs["schema"]
    validator = ProductValidator(
        statistics_gen.outputs["statistics"], schema, workflow.validation.stop_on_anomalies
    ).with_id("ExampleValidator")
    transform = tfx.components.Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="modules.preprocessing.transform.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        custom_config={"workflow": settings("Transform")},
        # Statistics of transformed examples cost a third of the component's time, and nobody looks at them.
        disable_statistics=True,
    )
    trainer = ProductTrainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        taxonomy=tree,
        run_fn="modules.training.run.run_fn",
        custom_config={"workflow": settings("Trainer"), "checkpoints": places.checkpoints},
    ).with_id("Trainer")
    blessed = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("LastBlessedModel")
    evaluator = tfx.components.Evaluator(
        examples=examples,
        example_splits=["test"],
        model=trainer.outputs["model"],
        baseline_model=blessed.outputs["model"],
        eval_config=eval_config(workflow, taxonomy),
        module_path=EVALUATION_MODULE,
    )
    class_metrics = ClassMetrics(
        evaluation=evaluator.outputs["evaluation"],
        objectives=objective_evals(workflow, taxonomy),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=places.pushed)
        ),
    )
    predictor = Predictor(
        examples=examples, model=trainer.outputs["model"], taxonomy=tree, workflow=settings("Predictor")
    )
    # Anomalies stop the run before anything is learnt from them.
    transform.add_upstream_node(validator)
    return tfx.dsl.Pipeline(
        pipeline_name=workflow.name,
        pipeline_root=places.root,
        components=[
            example_gen, statistics_gen, schema_gen, validator, transform, trainer, blessed, evaluator, class_metrics,
            pusher, predictor,
        ],
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=beam_pipeline_args or [],
        enable_cache=enable_cache,
    )  # fmt: skip
