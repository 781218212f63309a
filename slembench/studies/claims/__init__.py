"""Claims of papers and posters, checked one by one against what was measured here."""
