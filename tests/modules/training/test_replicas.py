"""Training over two devices is training on one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.modules.training.shared import Built

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(built: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    output = tmp_path_factory.mktemp("devices") / "found.npz"
    subprocess.run(
        [sys.executable, "-m", "tests.modules.training.two_devices"]
        + [str(built.folder / "transform"), built.files["train"], built.files["eval"], str(output)],
        check=True, timeout=600,
    )  # fmt: skip
    with np.load(output) as stored:
        return dict(stored)


@pytest.mark.parametrize("gradient", ["dense", "sparse"])
def test_halves_of_a_gradient_are_clipped_and_applied_as_their_sum(found, gradient) -> None:
    np.testing.assert_allclose(found[f"two/{gradient}"], found[f"one/{gradient}"], rtol=1e-5)
    assert not np.allclose(found["one/dense"], found["one/sparse"])


def test_a_model_learns_the_same(found) -> None:
    one, two = found["one/losses"], found["two/losses"]
    assert len(one) == len(two) == 4 and two[-1] < 0.85 * two[0]
    # Products without a label count in neither half: means of halves are not quite the mean of the batch.
    np.testing.assert_allclose(two, one, rtol=0.1)
    shapes = [[w.shape for name, w in found.items() if name.startswith(f"{which}/weight")] for which in ("one", "two")]
    assert shapes[0] == shapes[1] and len(shapes[0]) >= 6
