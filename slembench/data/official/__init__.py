"""Official data sets of the papers: download, inventory, import."""
