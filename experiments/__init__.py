"""Recipes that compare strategies and settings, in process, in the modules that the pipeline uses."""
