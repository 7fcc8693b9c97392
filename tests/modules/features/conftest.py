"""The transformed catalogue that the contract of the features is tried on."""

from tests.modules.training.shared import built  # noqa: F401
