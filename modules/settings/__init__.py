"""Typed settings of a workflow. Light: imports neither TensorFlow nor TFX."""

from modules.settings.workflow import Workflow

__all__ = ["Workflow"]
