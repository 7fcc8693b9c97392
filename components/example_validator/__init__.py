"""TFX's ExampleValidator, which can stop the run."""
