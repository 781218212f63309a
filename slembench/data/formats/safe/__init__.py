"""Hardened parsers for files of unknown origin: path traversal, decompression bombs, pickles, broken B-trees."""
