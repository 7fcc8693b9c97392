"""Typed settings of a workflow. Light: imports neither TensorFlow nor TFX."""
