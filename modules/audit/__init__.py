"""Audits of what is accepted without a look: which products are drawn, what labels say, what is taken back."""
