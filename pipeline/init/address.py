"""The first snapshot of an address that somebody names in place of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modules.errors import InputError
from modules.feeds.sources import Source
from pipeline.settings_errors import validate_data
from pipeline.sources import snapshot_files, take_sources
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from rich.console import Console


def take_address(address: str, name: str, allow_private: bool, console: Console) -> tuple[Source, Path]:
    """Takes a snapshot of an address that no workflow names yet, to where the workflow ``name`` will look for it.

    Returns:
      The source's settings, and the snapshot's file.

    Raises:
      InputError: the address cannot be used or gives no feed.
    """
    source = {"kind": "http", "url": address, "allow_private": allow_private}
    workflow, problems = validate_data({"name": name, "feed": {"source": source}}, lambda _: ("FEED", None))
    if workflow is None or problems:
        raise InputError(problems)
    settings = workflow.feed.source
    assert settings is not None
    loaded = take_sources(LoadedWorkflow(workflow, Path("FEED"), Path.cwd()), console)
    (file,) = snapshot_files(loaded)
    return settings, Path(file or "")
