"""16-byte row keys: a sorted index and a set that hold 10⁸ of them."""
