"""Type-ahead search over the taxonomy."""

from __future__ import annotations

from collections.abc import Sequence

from modules.taxonomy import Category

SHOWN = 12
_LEAST = 60.0


class Search:
    """Over the categories that can be an answer.

    Every word of what is typed counts: those that a path or a synonym has, or that begin one of its words, come first;
    then what is alike, so that a slip of the finger is forgiven.
    """

    def __init__(self, categories: Sequence[Category]):
        self._categories = list(categories)
        self._texts = [category.text.casefold() for category in categories]
        synonyms = (" ".join(category.synonyms).casefold() for category in categories)
        self._words = [f"{t} {s}".replace(">", " ").split() for t, s in zip(self._texts, synonyms, strict=True)]
        self._names = [category.name.casefold() for category in categories]

    def find(self, text: str, limit: int = SHOWN) -> list[Category]:
        """The categories that fit best; all (the first ones) for nothing."""
        asked = text.casefold().replace(">", " ").split()[:20]
        if not asked:
            return self._categories[:limit]
        scored = []
        for index, words in enumerate(self._words):
            hits = [max((_hit(word, part) for part in words), default=0) for word in asked]
            if all(hits):
                # A name that is what was typed before one that only contains it; then the shorter path.
                exact = self._names[index] == " ".join(asked)
                in_name = sum(word in self._names[index] for word in asked)
                scored.append((-exact, -sum(hits), -in_name, len(self._texts[index]), index))
        ranked = [index for *_, index in sorted(scored)[:limit]]
        if len(ranked) < limit:
            ranked += [index for index in self._alike(" ".join(asked)) if index not in ranked]
        return [self._categories[index] for index in ranked[:limit]]

    def _alike(self, text: str) -> list[int]:
        from rapidfuzz import fuzz, process

        by_name = process.extract(text, self._names, scorer=fuzz.ratio, limit=SHOWN, score_cutoff=_LEAST)
        by_path = process.extract(text, self._texts, scorer=fuzz.token_set_ratio, limit=SHOWN, score_cutoff=_LEAST)
        best = sorted([*by_name, *by_path], key=lambda match: -match[1])
        return list(dict.fromkeys(index for _, _, index in best))


def _hit(word: str, part: str) -> int:
    return 3 if part == word else 2 if part.startswith(word) else 1 if word in part else 0
