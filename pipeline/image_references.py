"""Whether the images that a feed's first products name can be had, without fetching any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from modules.counting import counted
from modules.errors import Problem
from modules.images.local import LocalImages
from modules.images.outcome import ImageError
from modules.images.references import WebAddress, parse
from modules.object_stores import is_remote
from modules.settings.images import ImageSettings
from pipeline.workflow_file import LoadedWorkflow

SAMPLE = 500
"""The number of images that the check looks for."""


def check_images(loaded: LoadedWorkflow, settings: ImageSettings, references: Iterable[str]) -> tuple[
    list[Problem], list[str]
]:  # fmt: skip
    """Problems where not a single image could be had, notes where some could not.

    Args:
      references: paths and addresses, of the first products.
    """
    distinct = list(dict.fromkeys(text.strip() for text in references if text.strip()))[:SAMPLE]
    if not distinct:
        columns = dict.fromkeys(source.fields.image for source in loaded.workflow.sources if source.fields.image)
        return [], [f"the first products name no image in the column {' or '.join(map(repr, columns))}"]
    folder = str(loaded.folder)
    local = None if is_remote(folder) else LocalImages(folder)
    refused: Counter[str] = Counter()
    missing: list[str] = []
    hosts: set[str] = set()
    for reference in distinct:
        try:
            address = parse(reference, settings)
            if address is None and local is not None:
                local.find(reference)
        except ImageError as error:
            if error.reason == "not_found":
                missing.append(reference)
            else:
                host = named_host(reference)
                refused[host or reference] += 1
                hosts |= {host} if host else set()
    bad = refused.total() + len(missing)
    said, of = [], f"of {counted(len(distinct), 'image')}"
    if refused:
        said.append(f"{counted(refused.total(), f'{of} is', f'{of} are')} not allowed: {_most(refused)}")
    if missing:
        others = " and others" if len(missing) > 1 else ""
        said.append(f"{counted(len(missing), f'{of} is', f'{of} are')} not below {folder}: {missing[0]!r}{others}")
    if bad < len(distinct):
        return [], said
    problems = []
    if refused:
        named = ", ".join(sorted(hosts)[:10])
        hint = f"allow them: feed.images.hosts: [{named}]" if hosts else "paths start at the feed's folder"
        expected = "expected hosts (and schemes, ports) that the feed's images are at, or paths below its folder"
        key = "feed.images.hosts" if hosts else "feed.images"
        problems.append(loaded.problem(key, expected, _most(refused), hint))
    if missing:
        hint = "paths start at the feed's folder; feed.folder (or --feed) says which it is"
        problems.append(loaded.problem("feed.images", f"expected image files below {folder}", missing[0], hint))
    return problems, []


def named_host(reference: str) -> str | None:
    """The host (or bucket) of an address, whether it is allowed or not; None for a path or what cannot be read."""
    scheme = reference.partition(":")[0].lower() if not reference.startswith("//") else "https"
    try:
        address = parse(reference, ImageSettings(hosts=("*",), schemes=(scheme,), ports=_port(reference)))
    except (ImageError, ValueError):
        return None
    if address is None:
        return None
    return address.host if isinstance(address, WebAddress) else address.url.partition("://")[2].partition("/")[0]


def _port(reference: str) -> tuple[int, ...]:
    """The ports that would have to be allowed."""
    authority = reference.partition("//")[2].partition("/")[0]
    port = authority.rpartition(":")[2]
    return (80, 443, int(port)) if port.isascii() and port.isdigit() and 0 < int(port) < 65536 else (80, 443)


def _most(counts: Counter[str]) -> str:
    shown = [f"{text[:80]} ({count:,})" for text, count in counts.most_common(3)]
    return ", ".join(shown) + (f" and {len(counts) - 3:,} more" if len(counts) > 3 else "")
