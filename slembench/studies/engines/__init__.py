"""Engines that work through the runs of a study: on this machine, or on a Ray cluster."""
