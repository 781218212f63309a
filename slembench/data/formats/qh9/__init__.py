"""QH9: sqlite and LMDB databases."""
