"""Pages in a real browser, and what must not happen on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")


class Watched:
    """A page of a server; ``wrong``: errors, messages, dialogs, and requests to any other host."""

    def __init__(self, browser: Any, url: str, path: str, **context: Any):
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.wrong: list[str] = []
        self.page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("request", lambda request: None if request.url.startswith(url) else self.wrong.append(request.url))
        self.page.goto(url + path)
