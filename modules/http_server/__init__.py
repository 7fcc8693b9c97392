"""The HTTP server under the labelling pages and the similarity endpoint: what one client can take of it is bounded."""
