"""Similar products for the shop's systems: an HTTP endpoint over a run's indexes, and a model for TF Serving."""
