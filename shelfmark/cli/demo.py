"""``shelfmark demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to; new or empty.")],
    products: Annotated[int, typer.Option("--products", min=50, metavar="N", help="How many products.")] = 4000,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another catalogue.")] = 7,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Draw product images.")] = True,
) -> None:
    """Write the generated demo catalogue: feeds, taxonomy, rules, labels."""
    from modules.settings.feed import DemoSettings
    from pipeline.demo_feed import write_demo_folder
    from shelfmark.cli.options import console

    summary = write_demo_folder(output, DemoSettings(products=products, seed=seed, images=images), console())
    typer.echo(summary)
