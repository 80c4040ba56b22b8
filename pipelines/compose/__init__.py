"""Makes manifests: from images, styles and prompts, from other tables, from what a run failed."""
