"""The labelling pages: FastAPI, rendered on the server, nothing from any other host."""
