"""Audits of what is accepted without a look: which products are drawn, what their labels say, and what is taken back."""
