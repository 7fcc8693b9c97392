"""Labels from people: the store they are kept in, and the pages they are made on."""
