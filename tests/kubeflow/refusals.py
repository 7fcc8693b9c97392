"""What tests of a compiled pipeline ask of the emulated cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.kubeflow.emulator.cluster import Cluster

Compile = Callable[..., str]


def refused(cluster: Cluster, package: str, match: str, **arguments: Any) -> None:
    """The server, or a step, fails with this error."""
    from tests.kubeflow.emulator.cluster import StepFailed
    from tests.kubeflow.emulator.server import Refused

    with pytest.raises((Refused, StepFailed), match=match):
        cluster.run(package, **arguments)
