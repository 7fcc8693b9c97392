"""Numbers out of what shops write as a price: read once, where a feed's record becomes a product."""
