"""Batches and review queues as the pipeline writes them, and the neighbours of their products."""
