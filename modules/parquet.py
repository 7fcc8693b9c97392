"""Reading Parquet files that may be damaged: what is wrong is said of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from modules.errors import InputError, Problem, shorten
from modules.paths import near


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Around the reading of ``file``.

    Raises:
      InputError: it is missing, no Parquet file, or half of one.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = shorten(" ".join(str(error).split()), 200)
        hint = "the same command will not help; what wrote the file makes it again"
        raise InputError(Problem(near(file), f"no whole Parquet file ({reason})", hint=hint)) from None
