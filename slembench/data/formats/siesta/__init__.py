"""SIESTA: HSX, DM and TSHS files."""
