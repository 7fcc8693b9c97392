"""Predicts every product and writes the predictions as Parquet."""
