"""From predictions to the next batch: ActiveSampler without TFX."""
