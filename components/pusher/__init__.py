"""TFX's Pusher; a version is there as a whole or not at all."""
