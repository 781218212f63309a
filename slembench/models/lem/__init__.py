"""LEM: the semi-local variant of SLEM, whose pair states are the messages (arXiv 2407.06053)."""
