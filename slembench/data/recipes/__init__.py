"""First-principles recipes of the mini data sets: how each was made, for anyone to run again."""
