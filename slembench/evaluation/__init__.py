"""From predictions to numbers: a table with one row a structure, and the scores that follow from it alone.

Every structure of the split is scored. One without a prediction is scored as if zero had been predicted, and listed; a
missing block counts as zero, an extra one against zero, and both are listed (see `slembench.metrics.matrix`).
Structures are scored in batches: everything about matrix elements without a loop over them, levels on threads.

`evaluate` reads batches (`batch`), has their columns written (`elements` for matrix elements, `levels` for energies
and orbitals, `scf` for self-consistent runs), and makes scores of the table (`slembench.metrics.scores`).
"""

from slembench.evaluation.evaluate import evaluate, level_cache
from slembench.evaluation.result import Evaluation, main_scores, official_scores

__all__ = ["Evaluation", "evaluate", "level_cache", "main_scores", "official_scores"]
