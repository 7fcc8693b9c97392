"""TFMA metrics per category, and the Evaluator component that is configured with them."""
