"""Fitting a model: data, losses, optimiser, the loop, calibration, export."""
