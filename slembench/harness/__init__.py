"""The harness: one run from data to record, and the recipes that say how."""

from slembench.harness.recipe import Recipe, Settings, load_settings
from slembench.harness.run import Job, prepare, run

__all__ = ["Job", "Recipe", "Settings", "load_settings", "prepare", "run"]
