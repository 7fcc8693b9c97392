"""What spoke for the category of a product, by the model that is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modules import progress
from modules.counting import counted
from modules.errors import InputError, Problem, did_you_mean
from modules.examples import RULES, SPLIT_FOLDER, TAXONOMY_FILE, TITLE, label, label_source
from modules.feeds.encoding import example_of
from modules.feeds.files import format_of
from modules.feeds.mapping import Mapper
from modules.feeds.plan import ExampleSettings, head_of
from modules.feeds.product_features import ProductFeatures
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.values import NotUsable
from modules.predictions.daily.state import last_pass
from pipeline.results import published_model, published_run
from pipeline.rollback import SERVING
from pipeline.run_folder import RunFolder
from pipeline.runs import PUBLISHED, Run, Runs
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from modules.predictions.evidence import Evidence
    from modules.predictions.live import LiveModel
    from modules.taxonomy import Taxonomy

SHOWN = 20
"""Parts of a product that are shown of each category."""
_REPORTED = 10_000


@dataclass(frozen=True)
class Label:
    """What a product is labelled as in a run's examples: paths of categories, and where the label comes from."""

    categories: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Explained:
    """A product, and what spoke for its categories.

    Attributes:
      run: whose model was asked. is_published: it is the model that is published; else the last trained one.
      read_from: whether the product was read as the run had it, or as the feed has it now.
      rules: ids of those that fired. labels: by objective; neither is known of a product of the feed.
    """

    id: str
    title: str
    run: str
    is_published: bool
    read_from: Literal["run", "feed"]
    rules: tuple[str, ...]
    labels: Mapping[str, Label]
    evidence: Evidence
    model: LiveModel

    def values(self) -> dict[str, Any]:
        """As an object of JSON."""
        labels = {name: vars(own) | {"categories": list(own.categories)} for name, own in self.labels.items()}
        facts = {"run": self.run, "is_published": self.is_published, "model": self.model.fingerprint}
        return {
            "id": self.id, "title": self.title, **facts, "read_from": self.read_from,
            "objectives": {name: self.evidence.values(name, SHOWN) for name in self.evidence.reasons},
            "parts": self.evidence.parts, "untried_words": self.evidence.untried,
            "rules": list(self.rules), "labels": labels,
        }  # fmt: skip


def explain(
    loaded: LoadedWorkflow, product: str, category: str | None = None, objective: str | None = None
) -> Explained:
    """Asks the published model, or the last trained one where none was blessed yet.

    Args:
      product: its id, as predictions have it.
      category: id or path, see :func:`modules.predictions.evidence.evidence_of`.
      objective: say nothing of the others.

    Raises:
      InputError: there is no run, no such product, category or objective, the model has learnt nothing for it, or the
        run's files are damaged.
    """
    from modules.predictions.evidence import Evidence, check_category, evidence_of

    run, folder, taxonomy, is_published = _model(loaded)
    model = _opened(folder, taxonomy)
    names = _objectives(model, objective)
    rival = None if category is None else model.taxonomy.find(category)
    if rival is not None:
        check_category(model, rival, names)
    example, read_from = _product(loaded, run, product)
    evidence = evidence_of(model, example, rival)
    if evidence is None:
        hint = f"train another with `{loaded.run_command}`"
        raise InputError(Problem("", "a product that the model can read", key="id", value=product, hint=hint))
    kept = {name: reasons for name, reasons in evidence.reasons.items() if name in names}
    title, rules, labels = _facts(example, model, run.taxonomy() if read_from == "run" else model.taxonomy)
    only = Evidence(kept, evidence.untried, evidence.parts)
    return Explained(product, title, run.id, is_published, read_from, rules, labels, only, model)


def _model(loaded: LoadedWorkflow) -> tuple[Run, Path, Path, bool]:
    """The run, the folder of the model, the taxonomy of a model without one, and whether it is published."""
    trained = Runs.of(loaded).find(having="model")
    try:
        published_run(loaded)
    except InputError:
        return trained, trained.folder("model") / SERVING, trained.folder("taxonomy") / TAXONOMY_FILE, False
    run, folder = published_model(loaded)
    own = run.folder(PUBLISHED) / TAXONOMY_FILE
    return run, folder, own if own.is_file() else run.folder("taxonomy") / TAXONOMY_FILE, True


def _opened(folder: Path, taxonomy: Path) -> LiveModel:
    from modules.predictions.live import LiveModel

    return LiveModel(folder, taxonomy=taxonomy)


def _objectives(model: LiveModel, objective: str | None) -> list[str]:
    known = list(model.workflow.objectives)
    if objective is None:
        return known
    if objective not in known:
        expected = f"an objective of the model: {', '.join(known)}"
        hint = did_you_mean(objective, known)
        raise InputError(Problem("", expected, key="--objective", value=objective, hint=hint))
    if objective in model.untaught:
        expected = "an objective that the model had a label to learn from"
        raise InputError(Problem("", expected, key="--objective", value=objective, hint="label products for it"))
    return [objective]


def _product(loaded: LoadedWorkflow, run: Run, product: str) -> tuple[bytes, Literal["run", "feed"]]:
    """The product's example, of the feed first where `shelfmark predict` has read it since the run."""
    last = last_pass(RunFolder.of(loaded.workflow).daily)
    is_newer = last is not None and last.run == run.id
    if is_newer and (example := _of_feed(loaded, product)) is not None:
        return example, "feed"
    if (example := _of_run(run, product)) is not None:
        return example, "run"
    if not is_newer and (example := _of_feed(loaded, product)) is not None:
        return example, "feed"
    hint = f"`{loaded.command('predictions')}` shows ids; with several feeds they begin with the retailer's name"
    expected = f"the id of a product of run {run.id}, or of the feed"
    raise InputError(Problem("", expected, key="PRODUCT", value=product, hint=hint))


def _of_run(run: Run, product: str) -> bytes | None:
    from modules.predictions.all_classes import wanted_examples

    if "examples" not in run.outputs or not run.outputs["examples"].folder.is_dir():
        return None
    files = sorted(str(file) for file in run.folder("examples").glob(f"{SPLIT_FOLDER}*/*") if file.is_file())
    try:
        wanted = {product.encode()}
    except UnicodeEncodeError:  # no product has half of a surrogate pair
        return None
    examples = [example for _, batch in wanted_examples(files, wanted) for example in batch] if files else []
    return examples[0] if examples else None


def _of_feed(loaded: LoadedWorkflow, product: str) -> bytes | None:
    """None too where the feed's files are gone: the run has its products without them."""
    try:
        files = loaded.feed_files()
    except InputError:
        return None
    settings = ExampleSettings.of(loaded.workflow)
    for path, number in files:
        source = settings.sources[number]
        mapper = Mapper(source, settings.dimensions, partial(head_of, path, source), settings.product_columns)
        for done, record in enumerate(read_records(path, format_of(path, source), source)):
            if done % _REPORTED == 0:
                progress.report(done, 0, f"{counted(done, 'record')} of the feed")
            if isinstance(record, BadRecord) or not isinstance(record.data, dict):
                continue
            try:
                if mapper.id(record.data) == product:
                    return example_of(ProductFeatures().entries(mapper.product(record.data), None))
            except NotUsable:
                continue
    return None


def _facts(example: bytes, model: LiveModel, taxonomy: Taxonomy) -> tuple[str, tuple[str, ...], dict[str, Label]]:
    """Title, rules that fired, and labels of an example of the run.

    Args:
      taxonomy: that its labels are written in.
    """
    import tensorflow as tf

    features = tf.train.Example.FromString(example).features.feature

    def texts(name: str) -> list[str]:
        values = features[name].bytes_list.value if name in features else ()
        return [value.decode("utf-8", "replace") for value in values]

    labels = {}
    for name, objective in model.workflow.objectives.items():
        classes = objective.classes(taxonomy)
        numbers = features[label(name)].int64_list.value if label(name) in features else ()
        paths = tuple(classes[number].text for number in numbers if 0 <= number < len(classes))
        if paths:
            source = "rules" if objective.learns_from_rules else "".join(texts(label_source(name))[:1])
            labels[name] = Label(paths, source)
    return "".join(texts(TITLE)[:1]), tuple(texts(RULES)), labels
