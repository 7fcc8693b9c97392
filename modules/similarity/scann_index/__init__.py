"""Approximate search with ScaNN: partitions, a global index, restricted search, and what it all reaches."""
