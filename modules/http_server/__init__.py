"""The HTTP server under both the labelling pages and the similarity endpoint: what slow clients can take is bounded."""
