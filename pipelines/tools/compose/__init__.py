"""Creates manifests from images, styles and prompts, from other tables, or from rows of a run."""
