"""The harness: one run from data to record, and the recipes that say how."""

from slembench.harness.recipe import Recipe, ResolvedRecipe, RunConfig, load_recipe
from slembench.harness.run import Run, open_run, prepare, run

__all__ = ["Recipe", "ResolvedRecipe", "Run", "RunConfig", "load_recipe", "open_run", "prepare", "run"]
