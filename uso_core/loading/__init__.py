"""Finding, checking and loading weights: layouts, listings, key mapping, LoRAs, the tiny model."""
