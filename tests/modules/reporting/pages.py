"""Reads a page as a browser does, to see what feeds could have put into it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Elements, their attributes, and the text outside of script and style."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[str] = []
        self.inside: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("td", "th", "tr", "li", "p", "h2", "section", "a", "span"):
            self.parts.append(" ")
        if tag in self.raw:
            self.inside.append(tag)

    def handle_endtag(self, tag) -> None:
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data) -> None:
        if self.inside:
            self.raw[self.inside[-1]].append(data)
        else:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_harmless(text: str) -> Page:
    """Nothing is loaded, nothing runs but the page's own script, and the policy says so."""
    page = Page(text)
    assert len(page.named("script")) == 1 and len(page.named("style")) == 1
    for tag, attributes in page.elements:
        assert tag not in ("img", "iframe", "object", "embed", "link", "base", "form", "video", "audio"), tag
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in ("src", "style", "srcdoc"), (tag, name)
            if name == "href":
                assert (value or "").startswith("#")
    assert not re.search(r"@import|url\(", "".join(page.raw["style"]))
    policy = next(meta["content"] for meta in page.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none';")
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256("".join(page.raw[kind]).encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.named("a"):
        assert (link["href"] or "")[1:] in ids
    return page
