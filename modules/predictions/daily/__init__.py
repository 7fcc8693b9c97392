"""Predictions between runs: a day's feed by the published model, of which only what changed is predicted again."""
