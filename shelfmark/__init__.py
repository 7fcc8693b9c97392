"""Shelfmark's command line."""
