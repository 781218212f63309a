"""The harness: one run from data to record, and the recipes that say how."""

from slembench.harness.job import Job, prepare, run
from slembench.harness.recipe import Recipe, Settings, load_settings

__all__ = ["Job", "Recipe", "Settings", "load_settings", "prepare", "run"]
