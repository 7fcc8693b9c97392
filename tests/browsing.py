"""Pages in a real browser, and what must not happen on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")

CONTRAST = """() => {
  const parse = (text) => { const c = text.match(/[\\d.]+/g).map(Number); return c.length < 4 ? [...c, 1] : c; };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const poor = [];
  const judge = (element, color, text, style) => {
    const back = behind(element), a = light(over(parse(color), back)), b = light(back);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className} ${text}`);
  };
  let judged = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("script, option, svg")) continue;
    const style = getComputedStyle(element);
    judge(element, style.color, text.slice(0, 40), style);
    judged += 1;
  }
  for (const input of document.querySelectorAll("input[placeholder]")) if (input.checkVisibility()) {
    const style = getComputedStyle(input, "::placeholder");
    judge(input, style.color, input.placeholder, style);
  }
  for (const tick of document.querySelectorAll("svg text")) {
    const style = getComputedStyle(tick);
    judge(tick.closest("figure"), style.fill, tick.textContent, style);
  }
  return [judged, poor];
}"""
"""How many texts there are, and those that have less contrast than WCAG 2.2 AA asks for (1.4.3)."""

TOO_WIDE = """width => {
  if (document.documentElement.scrollWidth <= width) return [];
  const wide = [], range = document.createRange();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, text = node.nodeType === 3, element = text ? node.parentElement : node;
    // What is beyond the edge of something that scrolls by itself is not what widens the page.
    if (element.closest("nav, .scroll, .trail, .shelves")) continue;
    range.selectNodeContents(node);
    const right = (text ? range : element).getBoundingClientRect().right;
    if (right > width) wide.push(`${element.tagName}.${element.className} ${text ? node.textContent : ""} ${right}`);
  }
  return wide.length ? wide : ["something"];
}"""
"""Elements and texts that stick out of a page that has to be scrolled sideways."""


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
