"""Predictions: made in batches, kept as Parquet, read by everything downstream."""
