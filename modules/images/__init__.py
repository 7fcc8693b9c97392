"""Product images: fetched within limits, checked, made small and kept in a cache; see the README."""
