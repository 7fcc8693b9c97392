"""Similar products: batched search over a run's indexes, and a model for TensorFlow Serving."""
