"""Products that look alike: one protocol, and what searches behind it."""
