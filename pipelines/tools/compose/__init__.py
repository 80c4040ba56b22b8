"""Makes manifests: from images, styles and prompts, from other tables, from rows of a run."""
