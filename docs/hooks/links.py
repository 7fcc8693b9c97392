"""Links from the pages to files of the repository.

In the repository such a link (``../../Dockerfile``) leads to the file. On the site it leads to the page that holds the
file, if there is one, and else becomes the file's name. A link to a file that does not exist is left alone, so that a
strict build stops at it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
ON_THE_SITE = {"modules/query_strategies/README.md": "reference/query_strategies.md"} | {
    str(path.relative_to(REPOSITORY)): f"reference/components.md#{path.parent.name}"
    for path in sorted(REPOSITORY.glob("components/*/README.md"))
}
"""Files outside of ``docs/`` and the pages that hold them."""

_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def relinked(text: str, folder: Path, page_folder: str) -> str:
    """The text with its links made for the site.

    Args:
      text: Markdown.
      folder: the folder that its links are relative to.
      page_folder: the folder of the page that will hold the text, below ``docs/``.
    """

    def put(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[2]))
        if not target.exists() or not target.is_relative_to(REPOSITORY):
            return link[0]
        name, anchor = str(target.relative_to(REPOSITORY)), link[3] or ""
        if name.startswith("docs/"):
            page = name.removeprefix("docs/")
        elif name in ON_THE_SITE:
            page, _, heading = ON_THE_SITE[name].partition("#")
            anchor = anchor or (f"#{heading}" if heading else "")
        else:
            return link[1] if link[1].strip("`") == name else f"{link[1]} (`{name}`)"
        return f"[{link[1]}]({os.path.relpath(page, page_folder or '.')}{anchor})"

    return _LINK.sub(put, text)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs calls this for every page."""
    if page.file.generated_by:
        return markdown
    source = Path(page.file.abs_src_path)
    return relinked(markdown, source.parent, os.path.dirname(page.file.src_uri))
