"""Pages for people: one for each data set, one for each run, with the pictures of `slembench.figures`."""
