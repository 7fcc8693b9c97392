"""Similar products out of a full-text engine: an embedding's dimensions as words, titles, or both."""
