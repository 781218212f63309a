"""Metrics as pure functions of blocks, levels and table columns; they know no model and no data set.

`catalogue` holds unit, direction and needs of every metric as data.
"""
