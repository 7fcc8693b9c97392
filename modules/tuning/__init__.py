"""Searching for settings: trainings with other values, compared on the eval split."""
