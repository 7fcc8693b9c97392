"""What the last blessed run predicted: products, and categories with their numbers and metrics."""
