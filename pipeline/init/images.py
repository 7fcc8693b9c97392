"""Where a feed's images are: hosts, or files below its folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.images.local import LocalImages
from modules.images.outcome import ImageError
from pipeline.image_references import named_host
from pipeline.init.columns import SampledColumn

SAMPLE = 2000
MOST_HOSTS = 20


@dataclass(frozen=True)
class ImageGuess:
    """Where the images of a feed are, as guessed from the first distinct references.

    Attributes:
      hosts: that images are at, the most frequent first.
      files: paths of files that are there. missing: paths of files that are not, and what is neither path nor address.
      more_hosts: how many were left out of ``hosts``.
    """

    hosts: tuple[str, ...]
    files: int
    missing: int
    more_hosts: int = 0

    @property
    def usable(self) -> bool:
        """Whether there is an image to be had."""
        return bool(self.hosts or self.files)


def guess_images(column: SampledColumn, folder: Path) -> ImageGuess:
    """Looks for the files of a column's paths below ``folder``; asks no host."""
    local = LocalImages(str(folder))
    hosts: Counter[str] = Counter()
    files = missing = 0
    for reference in list(column.distinct)[:SAMPLE]:
        host = named_host(reference)
        if host is not None:
            hosts[host] += 1
            continue
        try:
            local.find(reference)
            files += 1
        except ImageError:
            missing += 1
    names = tuple(host for host, _ in hosts.most_common(MOST_HOSTS))
    return ImageGuess(names, files, missing, len(hosts) - len(names))


def unite_images(guesses: Sequence[ImageGuess]) -> ImageGuess | None:
    """What is true of several feeds' images together; None where no feed names any."""
    if not guesses:
        return None
    hosts = tuple(dict.fromkeys(host for guess in guesses for host in guess.hosts))
    more = sum(guess.more_hosts for guess in guesses) + max(0, len(hosts) - MOST_HOSTS)
    files, missing = sum(guess.files for guess in guesses), sum(guess.missing for guess in guesses)
    return ImageGuess(hosts[:MOST_HOSTS], files, missing, more)


def feed_folder(paths: Sequence[Path]) -> Path:
    """The folder that all feed files are in."""
    return Path(os.path.commonpath([Path(os.path.abspath(path)).parent for path in paths]))
