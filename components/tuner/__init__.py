"""TFX's Tuner with the taxonomy as one more input."""
