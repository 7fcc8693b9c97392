"""Indexes over the products' embeddings, measured, with their tables of neighbours."""
