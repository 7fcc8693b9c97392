"""Picks the next batch for people, and the labels to look at again."""
