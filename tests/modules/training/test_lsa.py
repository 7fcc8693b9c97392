"""The LSA model against SciPy's exact SVD and LIBLINEAR by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.svm import LinearSVC

from modules.models.build import build_model
from modules.models.projection import embed, fit_projection
from modules.objectives import ExclusiveObjective, ancestor_levels
from modules.predictions.columns import EMBEDDING
from modules.taxonomy import Taxonomy
from modules.training.data import batches
from modules.training.design import design_matrix
from modules.training.heads import NEVER, fit_exclusive
from modules.training.liblinear import fit_exact
from modules.training.run import input_sizes
from tests.modules.training.shared import Built, class_counts, task_of, tiny


def test_the_projection_spans_the_exact_svds_largest_directions():
    rng = np.random.default_rng(3)
    # Singular values with a gap after the sixth, so that the subspace is well defined.
    left, _ = np.linalg.qr(rng.normal(size=(300, 40)))
    right, _ = np.linalg.qr(rng.normal(size=(80, 40)))
    values = np.concatenate([np.linspace(9, 5, 6), np.linspace(1, 0.1, 34)])
    matrix = sparse.csr_matrix(((left * values) @ right.T).astype(np.float32))
    ours = fit_projection(matrix, 6, seed=0)
    _, _, exact = svds(matrix.astype(np.float64), k=6)
    np.testing.assert_allclose(ours.T @ ours, np.eye(6), atol=1e-4)
    np.testing.assert_allclose(ours @ ours.T, exact.T @ exact, atol=1e-3)


def test_a_matrix_of_smaller_rank_leaves_columns_of_zeros():
    matrix = sparse.csr_matrix(np.outer(np.arange(1, 9), [1.0, 2.0, 0.0, 0.0, 0.0]).astype(np.float32))
    projection = fit_projection(matrix, 4, seed=0)
    assert projection.shape == (5, 4) and not projection[:, 1:].any()
    np.testing.assert_allclose(abs(projection[:, 0]), np.array([1, 2, 0, 0, 0]) / np.sqrt(5), atol=1e-5)
    assert embed(sparse.csr_matrix((2, 5), dtype=np.float32), projection).tolist() == [[0.0] * 4] * 2


def test_the_models_embedding_and_logits_are_the_projections_and_the_svms(built: Built):
    settings = tiny(
        ("title", "brand", "image"),
        objectives={"exclusive": {"kind": "exclusive", "loss": "squared_hinge"}},
        model={"kind": "lsa", "embedding_width": 8},
        training={"solver": "liblinear", "mixed_precision": "off"},
    )
    counts = {"exclusive": class_counts()["exclusive"]}
    sizes = input_sizes(settings, built.transform, counts)
    model = build_model(settings, sizes)
    train, held_out = (
        batches([built.files[split]], settings.features, settings.objectives, counts, batch_size=64)
        for split in ("train", "eval")
    )
    fit_exact(model, task_of(settings, sizes, [built.files["train"]], 0), c=settings.training.liblinear_c)
    (matrix, targets), (other, _) = (
        design_matrix(data.as_numpy_iterator(), settings.features, sizes.features, seed=settings.seed)
        for data in (train, held_out)
    )
    projection = fit_projection(matrix, 8, settings.seed)
    known = targets["exclusive"] >= 0
    solver = LinearSVC(random_state=settings.seed).fit(embed(matrix, projection)[known], targets["exclusive"][known])
    outputs = [model(inputs, training=False) for inputs, _ in held_out]
    vectors = np.concatenate([one[EMBEDDING].numpy() for one in outputs])
    np.testing.assert_allclose(vectors, embed(other, projection), atol=1e-4)
    logits = np.concatenate([one["exclusive"].numpy() for one in outputs])
    np.testing.assert_allclose(logits, solver.decision_function(embed(other, projection)), atol=1e-3)


TREE = Taxonomy.from_paths(
    [("shoes", "boots"), ("shoes", "sandals"), ("bags", "totes"), ("bags", "clutches"), ("gifts",)]
)


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 12)
    matrix = (np.eye(5)[labels] + rng.normal(scale=0.4, size=(60, 5))).astype(np.float32)
    return matrix, labels, [c for c in TREE if c.exclusive]


def test_an_ancestors_score_is_added_to_its_categories(examples):
    matrix, labels, classes = examples
    levels = ancestor_levels(classes, TREE)
    names = ["/".join(c.path) for c in classes]
    tops = np.array([name.split("/")[0] if "/" in name else "" for name in names])
    assert [[classes_top(level[i], tops) for i in range(5)] for level in map(np.asarray, levels)] == [list(tops)]
    own = LinearSVC(random_state=1).fit(matrix, labels)
    # Gifts has no ancestor: among the branches it stands for itself.
    branch = np.array([top or "gifts" for top in tops])
    above = LinearSVC(random_state=1).fit(matrix, branch[labels])
    expected = own.decision_function(matrix)
    for index, top in enumerate(tops):
        if top:
            expected[:, index] += 0.5 * above.decision_function(matrix)[:, list(above.classes_).index(top)]
    objective = ExclusiveObjective(kind="exclusive", loss="squared_hinge", ancestor_weight=0.5)
    table, bias = fit_exclusive(matrix, labels, 5, objective, c=1.0, seed=1, ancestors=levels)
    np.testing.assert_allclose(matrix @ table + bias, expected, atol=0.02)


def classes_top(index: int, tops: np.ndarray) -> str:
    return "" if index < 0 else "/".join(list(TREE)[index].path)


def test_a_class_without_labels_never_wins_and_a_single_one_always(examples):
    matrix, labels, classes = examples
    objective = ExclusiveObjective(kind="exclusive", ancestor_weight=0.5)
    levels = ancestor_levels(classes, TREE)
    seen = labels < 2
    table, bias = fit_exclusive(matrix[seen], labels[seen], 5, objective, c=1.0, seed=1, ancestors=levels)
    assert bias[2:].tolist() == [NEVER] * 3
    assert set((matrix @ table + bias).argmax(axis=1)) == {0, 1}
    only = labels == 3
    table, bias = fit_exclusive(matrix[only], labels[only], 5, objective, c=1.0, seed=1, ancestors=levels)
    assert set((matrix @ table + bias).argmax(axis=1)) == {3}
