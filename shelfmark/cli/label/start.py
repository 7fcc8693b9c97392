"""``shelfmark label``: the newest batch, on the page, in one command."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import webbrowser
from typing import Annotated

import typer

from shelfmark.cli.label.batches import OverlapOption, fetch_newest
from shelfmark.cli.label.serve import AnnotatorOption, PortOption, indexes_of
from shelfmark.cli.label.store import StoreOption, place_of
from shelfmark.cli.options import FeedOption, SetOption, WorkflowOption, load


def start(
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    port: PortOption = 8765,
    annotator: AnnotatorOption = None,
    overlap: OverlapOption = 1,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """Queue the newest run's batch and serve the pages to whoever starts this, in the browser."""
    from labelling.store import Store
    from labelling.store.database import SERVING
    from labelling.web.start import LabellingOptions, serve_store

    loaded = load(workflow, overrides, feed)
    fetch_newest(store, loaded, overlap)
    options = LabellingOptions(port=port, annotator=annotator)
    with Store(place_of(store, loaded), create=False, patience=SERVING) as opened:
        opener = show_page if browser else None
        # Ctrl+C is how people end it, and then comes the next step.
        with contextlib.suppress(KeyboardInterrupt):
            serve_store(opened, options, typer.echo, indexes_of(None, loaded.path, overrides), opener)
    if loaded.label_store is not None:
        typer.echo(f"next: {loaded.run_command} (learns from the answers)")


def show_page(url: str) -> None:
    """Opens a page in the user's browser, if there is a screen to open it on; the caller does not wait for it."""
    # Without a screen, Python would start a browser for terminals, which would take this one from the server.
    screen = sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if screen:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
