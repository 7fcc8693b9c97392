"""What an experiment compares: arms that learn from the same products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy import sparse

from experiments.catalogue import LabelledCatalogue
from modules.errors import InputError, Problem
from modules.objectives import DEFAULT_OBJECTIVE
from modules.settings.base import contradiction
from modules.settings.recipe import ArmSettings, Recipe
from modules.settings.workflow import Workflow
from modules.training.methods.gradient import GradientTraining


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared.

    Attributes:
      workflow: as :func:`simulated` or :func:`with_rules` gives it. catalogue: the products with the columns that the
        workflow's features read; all arms have the same ones in the same order.
      rules: what rules say of each product (:func:`experiments.catalogue.rule_labels`); None: nothing learns from them.
    """

    settings: ArmSettings
    workflow: Workflow
    catalogue: LabelledCatalogue
    rules: sparse.csr_matrix | None = None


@dataclass(frozen=True)
class Experiment:
    """A recipe with the products that its arms are compared on.

    Attributes:
      title: what the page is called. catalogue: name of the products. arms: as in the recipe, by the same names.
    """

    title: str
    catalogue: str
    recipe: Recipe
    arms: Mapping[str, Arm]

    @property
    def products(self) -> LabelledCatalogue:
        """The products as the first arm sees them."""
        return next(iter(self.arms.values())).catalogue


def simulated(workflow: Workflow) -> Workflow:
    """The workflow with its exclusive objective alone.

    Raises:
      InputError: it has none.
    """
    objective = workflow.objectives.get(DEFAULT_OBJECTIVE)
    if objective is None or not objective.single_label:
        expected = f"an exclusive objective named {DEFAULT_OBJECTIVE!r}"
        raise InputError(Problem(workflow.name, expected, key="objectives"))
    return workflow.model_copy(update={"objectives": {DEFAULT_OBJECTIVE: objective}})


def with_rules(workflow: Workflow) -> Workflow:
    """The workflow with its exclusive objective and those that learn from rules.

    Raises:
      InputError: an objective takes its labels from something else, or the way of training lets it teach the exclusive
        one nothing. Each problem's key is the setting's.
    """
    exclusive = simulated(workflow).objectives
    problems = []
    for name, objective in workflow.objectives.items():
        place = f"objectives.{name}"
        if name in exclusive:
            continue
        if not objective.learns_from_rules:
            problems.append(contradiction(f"{place}.labels", "", "labels: rules; an experiment has no others for it"))
        elif not isinstance(workflow.training, GradientTraining):
            able = workflow.solvers(lambda way: issubclass(way, GradientTraining))
            expected = (
                f"training.solver: {able} and a model whose objectives share layers; {workflow.training.solver} trains "
                f"each objective alone, so that {name} would change nothing (null takes it out)"
            )
            problems.append(contradiction(place, "", expected))
    if problems:
        raise InputError(problems)
    return workflow.model_copy(update={"objectives": {**exclusive, **workflow.objectives}})
