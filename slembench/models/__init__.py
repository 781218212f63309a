"""Models: the contract they keep, where they come from, and the ones this project ships."""
