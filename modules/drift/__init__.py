"""Drift: how a day's feed, and what the published model says of it, differs from what the model was trained on."""
