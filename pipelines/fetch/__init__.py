"""Reference images: a URI or bytes → a decoded image, within the run's limits and policy."""
