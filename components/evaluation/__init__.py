"""TFMA metrics per category, and the configuration of the Evaluator component."""
