"""Reading Parquet files that may be damaged: what is wrong is said of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from modules.errors import InputError, Problem, shorten
from modules.paths import near

_AGAIN = "the same command will not help; what wrote the file makes it again"


@contextmanager
def readable(file: Path, hint: str = _AGAIN) -> Iterator[None]:
    """Around the reading of ``file``.

    Args:
      file: that is read.
      hint: what to do if it cannot be.

    Raises:
      InputError: it is missing, no Parquet file, or half of one.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        is_gone = isinstance(error, FileNotFoundError)
        reason = "there is no such file" if is_gone else shorten(" ".join(str(error).split()), 200)
        raise InputError(Problem(near(file), f"no whole Parquet file ({reason})", hint=hint)) from None
