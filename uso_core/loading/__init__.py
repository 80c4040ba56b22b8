"""Find, check and load weights: layouts, listings, key mapping, LoRAs, and the tiny model."""
