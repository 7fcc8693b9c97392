"""How good neighbours are by the classifier's embedding, the metric-learned and the self-supervised one.

    python -m benchmarks.embedding_quality CATALOGUES SCRATCH [fashion] [pricerunner] [grocery]
    python -m benchmarks.embedding_quality CATALOGUES SCRATCH pricerunner --encoder bge-small

CATALOGUES holds the catalogues' folders. Each embedding is one ``shelfmark run`` up to Predictor; what is done is kept
in SCRATCH, so that a stopped benchmark goes on with the embedding it was at. ``--validate`` writes and checks the
workflows, ``--smoke`` does everything on few products for one epoch; both write no results. ``--encoder`` compares, in
place of learnt embeddings, what an encoder of this machine and the words of titles give without labels.

``fashion``: pictures alone, products of leaf categories with ten or more. ``pricerunner``: titles; whole clusters (the
same product at several merchants) are in the test split, none of them in training. ``grocery``: shop-floor photos,
trained on the source's train photos, the catalogue's own pictures unseen. All embeddings of a catalogue learn from the
same products, those of the same network for the same number of epochs, and are measured on the test split's products
alone, by exact search with the same queries (docs/explanation/similarity_quality.md has the figures' meaning).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.dataset as ds
import yaml

from benchmarks.embedding_catalogues import CATALOGUES, PREFIX, Settings, merged
from modules.errors import InputError
from pipeline.validate import check
from pipeline.workflow_file import REPOSITORY, LoadedWorkflow, load_workflow

if TYPE_CHECKING:
    from modules.similarity_quality.compare import EmbeddingComparison

RESULTS = REPOSITORY / "benchmarks" / "results" / "embedding_quality.md"
ENCODER_RESULTS = RESULTS.with_stem("embedding_quality_encoder")
SMOKE = 600
"""Products of a feed, at most, in a smoke run."""
TRAINER = re.compile(r"^Trainer +done +([\d.]+) s")


class Work:
    """One catalogue's files: ``feed/``, and a folder per embedding with its workflow, seconds and test predictions."""

    def __init__(self, name: str, catalogues: Path, scratch: Path, smoke: bool, encoder: str | None = None) -> None:
        self.name, self.catalogue, self.smoke = name, CATALOGUES[name], smoke
        self.folder = scratch / name
        self.source = catalogues / self.catalogue.folder
        self.epochs = 1 if smoke else self.catalogue.epochs
        self.networks, self.variants = encoder is None, self._variants(encoder)

    def _variants(self, encoder: str | None) -> dict[str, Settings]:
        if encoder is None:
            return self.catalogue.variants(self.epochs)
        # Those who read the same titles share their vectors.
        cache: Settings = {"encodings": {"cache": str(self.folder.resolve() / "encodings")}}
        own = self.catalogue.encoded(encoder) if self.catalogue.encoded else {}
        return {name: cache | sections for name, sections in own.items()}

    def of(self, variant: str) -> Path:
        return self.folder / re.sub(r"[^a-z0-9]+", "-", variant.lower()).strip("-")

    def prepare(self) -> None:
        """Writes feed and workflows.

        Raises:
          InputError: what is wrong with a workflow.
        """
        feed = self.folder / "feed"
        if not feed.exists():
            part = self.folder / "feed.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            self.catalogue.feed(self.source, part, SMOKE if self.smoke else None)
            part.rename(feed)
        own = {"name": f"{PREFIX}-{self.name}", "sampling": None}
        place = {"runners": {"local": {"folder": str(self.folder.resolve() / "runs")}}}
        for variant, sections in self.variants.items():
            self.of(variant).mkdir(exist_ok=True)
            settings = merged(self.catalogue.base, own, place, sections)
            text, path = yaml.safe_dump(settings, sort_keys=False), self.of(variant) / "workflow.yaml"
            if path.exists() and path.read_text() != text:
                shutil.rmtree(self.of(variant) / "predictions", ignore_errors=True)
            path.write_text(text)
            problems = check(self.loaded(variant)).problems
            if problems:
                raise InputError(problems)
            print(f"{self.name}, {variant}: valid", flush=True)

    def loaded(self, variant: str) -> LoadedWorkflow:
        return load_workflow(self.of(variant) / "workflow.yaml", feed_folder=self.folder / "feed")

    def done(self) -> list[str]:
        """The embeddings that there are, in their order."""
        return [variant for variant in self.variants if (self.of(variant) / "predictions").exists()]

    def train(self, variant: str) -> None:
        """Runs one embedding's workflow and keeps what it says of the test products."""
        from pipeline.runs import Runs

        folder = self.of(variant)
        print(f"\n== {self.name}, {variant}", flush=True)
        command = [sys.executable, "-m", "shelfmark", "run", str(folder / "workflow.yaml")]
        command += ["--feed", str(self.folder / "feed"), "--to", "Predictor"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                if found := TRAINER.match(line):
                    (folder / "seconds").write_text(found[1])
        if process.returncode:
            sys.exit(process.returncode)
        run = Runs.of(self.loaded(variant)).find()
        predictions = run.folder("predictions")
        if not self.networks:
            # benchmarks.title_search asks it.
            shutil.rmtree(folder / "model", ignore_errors=True)
            shutil.copytree(run.folder("model") / "Format-Serving", folder / "model")
        part = folder / "predictions.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(predictions / "Split-test", part / "Split-test")
        part.rename(folder / "predictions")

    def comparison(self) -> EmbeddingComparison:
        """Of the embeddings that there are."""
        from modules.similarity_quality.compare import compare
        from modules.similarity_quality.embeddings import read_embeddings
        from pipeline.similarity_labels import read_similarity_labels

        found = [one for v in self.done() for one in read_embeddings(self.of(v) / "predictions", v, ("embedding",))]
        labels = read_similarity_labels(
            self.loaded(next(iter(self.variants))), self.catalogue.cluster, self.catalogue.link
        )
        return compare(found, labels)

    def accuracy(self, variant: str) -> str:
        """Of the test products, by the heads; nothing where no head knows their categories."""
        if "cluster" in self.variants[variant].get("name", ""):
            return ""
        files = sorted((self.of(variant) / "predictions").glob("Split-test/*.parquet"))
        table = ds.dataset([str(file) for file in files]).to_table(columns=["exclusive/label", "exclusive/classes"])
        label = np.asarray(table["exclusive/label"])
        best = np.array([row[0] for row in table["exclusive/classes"].to_pylist()])
        return f"{(best == label)[label >= 0].mean():.3f}"

    def table(self) -> str:
        """Markdown: an embedding a row."""
        from modules.reporting.similarity import interval_text, signed_text

        comparison, figures = self.comparison(), self.catalogue.figures
        by_title = {one.title: one for one in comparison.measured}
        figures = tuple(one for one in figures if one[0] in by_title)
        if not figures:
            return f"## {self.catalogue.folder}\n\nNo test product has another one to find.\n"
        counted = [f"{one.title}: {one.proxies[0].queries:,} queries" for one in by_title.values()]
        of_networks = f"; networks {self.epochs} epochs" if self.networks else ""
        heads = [" ".join(one) for one in figures]
        titles = ["embedding", *heads, *(f"{head}: difference" for head in heads[:2]), "accuracy", "training seconds"]
        lines = [
            f"## {self.catalogue.folder}",
            "",
            f"{len(comparison.embedded[0].ids):,} test products ({'; '.join(counted)}){of_networks}.",
            "",
            f"| {' | '.join(titles)} |",
            "|" + " --- |" * len(titles),
        ]
        for row, one in enumerate(comparison.embedded):
            values = [interval_text(by_title[title].proxies[row].figures[name]) for title, name in figures]
            less = [signed_text(by_title[t].differences[row][name]) if row else "" for t, name in figures[:2]]
            taken = self.of(one.name) / "seconds"
            seconds = f"{float(taken.read_text()):.0f}" if taken.exists() else "-"
            cells = [f"{one.name} ({one.vectors.shape[1]})", *values, *less, self.accuracy(one.name), seconds]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogues", type=Path, metavar="CATALOGUES")
    parser.add_argument("scratch", type=Path, metavar="SCRATCH")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CATALOGUES)}; default: all")
    parser.add_argument("--encoder", metavar="NAME", help="compare embeddings without networks, with this encoder")
    parser.add_argument("--validate", action="store_true", help="write and check the workflows only")
    parser.add_argument("--smoke", action="store_true", help="few products, one epoch, no results")
    given = parser.parse_intermixed_args(arguments)
    for name in given.names:
        if name not in CATALOGUES:
            parser.error(f"{name!r} is none of {', '.join(CATALOGUES)}")
    scratch = given.scratch / ("smoke" if given.smoke else "whole")
    every = {name: Work(name, given.catalogues, scratch, given.smoke, given.encoder) for name in CATALOGUES}
    works = {name: work for name, work in every.items() if work.variants}
    wanted = [works[name] for name in given.names or works if name in works]
    results = ENCODER_RESULTS if given.encoder else RESULTS
    try:
        for work in wanted:
            work.prepare()
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    if given.validate:
        return 0
    for work in wanted:
        for variant in work.variants:
            if variant not in work.done():
                work.train(variant)
                if not given.smoke:
                    results.parent.mkdir(exist_ok=True)
                    # Of all catalogues, those of an earlier call as well.
                    results.write_text("\n".join(other.table() for other in works.values() if other.done()))
        print(work.table(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
