"""16-byte row keys: a sorted index and a set, for up to 10⁸ keys."""
