"""Running notebooks, one by one or many at once."""
