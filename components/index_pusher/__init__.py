"""Blessed indexes, with the model that embeds queries, handed over to the servers."""
