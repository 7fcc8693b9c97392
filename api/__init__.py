"""The HTTP API for the shop's systems: one package per thing that it answers; so far similar products."""
