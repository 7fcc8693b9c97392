"""From a run's artifacts and ML Metadata to what the labelling pages show."""
