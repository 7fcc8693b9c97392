"""Categories of products that come with the request, by the last model that was blessed and pushed."""
