"""Tables and texts on a terminal as wide as it is; elsewhere as plain lines that nothing cuts or pads."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from modules.errors import shorten

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_UNLIMITED = 10_000


def show(console: Console, *parts: RenderableType) -> None:
    """Prints the parts one below the other."""
    if console.is_terminal:
        for part in parts:
            console.print(part)
        return
    from rich.console import Console

    # A file or a pipe has no width; wrapping at 80 columns would only cut paths in two.
    stream = io.StringIO()
    plain = Console(file=stream, width=_UNLIMITED, color_system=None, highlight=False, markup=False, emoji=False)
    for part in parts:
        plain.print(part)
    for line in stream.getvalue().splitlines():
        console.out(line.rstrip(), highlight=False)


def text(value: str | None, style: str = "", limit: int = 2000) -> Text:
    """Text that is printed as it is: feeds may hold markup and control characters."""
    from rich.text import Text

    return Text(shorten(value or "", limit), style=style)
