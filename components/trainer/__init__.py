"""TFX's Trainer with the taxonomy as one more input."""
