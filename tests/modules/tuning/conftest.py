"""The transformed catalogue that all tests of preprocessing, models, training and predictions share."""

from tests.modules.training.shared import built  # noqa: F401
