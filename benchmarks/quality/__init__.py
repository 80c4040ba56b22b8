"""Quality of pictures whose target is known: metrics, held-out pairs, a table of presets."""
