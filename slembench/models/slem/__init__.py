"""SLEM: strictly localised equivariant message passing (arXiv 2407.06053)."""
