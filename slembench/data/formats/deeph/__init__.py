"""DeepH-pack: the legacy folders and the current ones."""
