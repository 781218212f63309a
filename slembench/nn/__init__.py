"""Equivariant building blocks in torch; they know no data set and no model."""
