"""TFX's StatisticsGen, told which features to look at."""
