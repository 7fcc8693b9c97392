"""What the next batch of labels would gain, out of ML Metadata alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modules.sampling.stopping import Round, StoppingEstimate, estimate, read_stop_set
from modules.settings.sampling import SamplingSettings
from pipeline.measured import Measured
from pipeline.runs import Value


def labelling_gain(
    objective: str,
    batches: Sequence[tuple[str, Mapping[str, Value]]],
    metrics: list[tuple[str, Measured]],
    sampling: SamplingSettings,
) -> StoppingEstimate | None:
    """The estimate for one exclusive objective.

    Args:
      batches: (run, what its ``labelling_batch`` and the record beside it say), oldest first.
      metrics: (run, its metrics).

    Returns:
      None before the first label, or if no batch knows of the objective.
    """
    measured = dict(metrics)
    rounds = []
    for run, facts in batches:
        if f"stop_set/{objective}" not in facts:
            continue
        values = measured[run].values.get(objective, {}) if run in measured else {}
        rounds.append(
            Round(
                int(facts[f"{objective}/labelled"]),
                float(facts[f"{objective}/expected_error"]),
                read_stop_set(str(facts[f"stop_set/{objective}"])),
                float(values["accuracy"]) if "accuracy" in values else None,
                int(values.get("example_count", 0)),
            )
        )
    return estimate(rounds, sampling.size, sampling.stopping)
