"""Labels that look wrong, as a review queue of their own."""
