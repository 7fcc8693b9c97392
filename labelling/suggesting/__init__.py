"""Asking a language model, or another classifier, for labels: its answers are suggestions, kept apart from people's."""
