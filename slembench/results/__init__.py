"""Results: published numbers, and records of runs measured here."""
