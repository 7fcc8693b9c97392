"""What an experiment says of its arms beside the one that they are compared with, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modules.counting import counted
from modules.metrics.paired import Difference, holm, mean_height

if TYPE_CHECKING:
    from modules.reporting.learning_curves import Curve

SIGNIFICANT = 0.05
"""p-value, corrected for the number of arms, below which a difference is more than chance."""


@dataclass(frozen=True)
class Compared:
    """An arm beside the baseline, paired by seed.

    Attributes:
      area: difference of the mean accuracy over the labels that both have, the area between the curves divided by its
        width. accuracy, macro_f1: where the shorter one of a seed's two curves ends.
      p: of ``area``, corrected for all arms (Holm); None with too few seeds.
    """

    arm: str
    baseline: str
    area: Difference
    accuracy: Difference
    macro_f1: Difference
    p: float | None = None

    @property
    def verdict(self) -> str:
        """In one sentence."""
        area, beside = self.area, f"than {self.baseline}"
        seeds = f"ahead in {area.ahead} of {counted(area.seeds, 'seed')}"
        if area.half is None or self.p is None:
            return f"{self.arm}: {seeds}, too few to tell it from chance"
        size = f"{area.mean:+.3f} ± {area.half:.3f} mean accuracy, p {chance(self.p)}, {seeds}"
        if self.p >= SIGNIFICANT:
            return f"{self.arm}: neither better nor worse {beside}, as far as these seeds show ({size})"
        return f"{self.arm}: {'better' if area.mean > 0 else 'worse'} {beside} ({size})"


def compare(curves: Sequence[Curve], baseline: str | None) -> list[Compared]:
    """Every other arm beside ``baseline``, of those that share a seed with it; none where it has no curve."""
    by_arm: dict[str, dict[int, Curve]] = {}
    for curve in curves:
        by_arm.setdefault(curve.strategy, {})[curve.seed] = curve
    others = by_arm.pop(baseline or "", {})
    rows = []
    for arm, own in by_arm.items():
        seeds = own.keys() & others.keys()
        ranges = {
            seed: (max(own[seed].labels[0], others[seed].labels[0]), min(own[seed].labels[-1], others[seed].labels[-1]))
            for seed in seeds
        }
        ranges = {seed: (first, last) for seed, (first, last) in ranges.items() if first <= last}

        def difference(
            figure: str, whole: bool, own: dict[int, Curve] = own, ranges: dict[int, tuple[int, int]] = ranges
        ) -> Difference | None:
            values, beside = (
                {
                    seed: mean_height(side[seed].labels, side[seed].values[figure], first if whole else last, last)
                    for seed, (first, last) in ranges.items()
                }
                for side in (own, others)
            )
            return Difference.of(values, beside)

        area, accuracy, macro_f1 = (
            difference("accuracy", True), difference("accuracy", False), difference("macro_f1", False)
        )  # fmt: skip
        if area is not None and accuracy is not None and macro_f1 is not None:
            rows.append(Compared(arm, baseline or "", area, accuracy, macro_f1))
    chances = [row.area.p for row in rows if row.area.p is not None]
    corrected = iter(holm(chances))
    return [replace(row, p=next(corrected)) if row.area.p is not None else row for row in rows]


def markdown(rows: Sequence[Compared]) -> str:
    """A table and a sentence for each arm."""
    lines = [
        "| arm | beside | mean accuracy over labels | p (Holm) | seeds ahead | last accuracy | last macro-F1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        p = "-" if row.p is None else chance(row.p)
        cells = [row.arm, row.baseline, shown(row.area), p, f"{row.area.ahead} of {row.area.seeds}"]
        lines.append(f"| {' | '.join([*cells, shown(row.accuracy), shown(row.macro_f1)])} |")
    return "\n".join([*lines, "", *(f"- {row.verdict}" for row in rows), ""])


def chance(p: float) -> str:
    """ "= 0.012", or "< 0.001" below that."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def shown(difference: Difference) -> str:
    """ "+0.012 ± 0.004"; without an interval where there is none."""
    return f"{difference.mean:+.3f}" + ("" if difference.half is None else f" ± {difference.half:.3f}")
