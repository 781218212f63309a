"""Metrics as pure functions of blocks, levels and table columns; they know no model and no data set.

`catalogue` (``catalogue.yaml``) says of every metric what it is, its unit and direction, and what computes it.
Errors of matrix elements are made in `matrix`, of levels in `spectrum`, of orbitals in `wavefunctions`; `scores` makes
scores of the per-structure table, `statistics` their intervals. `slembench.evaluation` calls them on a data set.
"""
