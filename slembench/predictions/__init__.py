"""The predictions file: predicted operators of any model, in the form in which they are scored.

One HDF5 file holds the predicted operators of many structures, end to end:

=================================  ================  =============================================================
dataset                            shape, type       meaning
=================================  ================  =============================================================
``ids``                            (S,) utf-8        structure ids of the data set
``numbers``                        (sum N,) int      atomic numbers
``atom_offsets``                   (S + 1,) int      first atom of each structure and, last, the number of atoms
``pair_index``                     (sum P, 2) int    atoms i, j of each block, numbered within their structure
``pair_shift``                     (sum P, 3) int    lattice translation R of atom j
``pair_offsets``                   (S + 1,) int      first pair of each structure and, last, the number of pairs
``operators/<op>/values``          flat float32/64   row-major blocks (n_i, n_j) in pair order
``operators/<op>/offsets``         (S + 1,) int      first value of each structure and, last, the number of values
=================================  ================  =============================================================

``<op>`` is hamiltonian, overlap or density. Attributes: those of `PredictionHeader` (``basis`` as JSON such as
``{"Mo": "4s2p2d1f"}``), ``format``, ``version``, ``convention`` = "slembench" (orbitals m = -l..l, shells grouped by
l, then zeta; see `slembench.operators.orbitals`) and, if its writer likes, ``checksum`` (see `checksum`). One
triangle of pairs is enough: what is missing is completed by Hermiticity before scoring.
"""

from slembench.predictions.format import PredictionHeader, PredictionSource, checksum
from slembench.predictions.reader import Predictions, read_predictions
from slembench.predictions.writer import PredictionWriter

__all__ = [
    "PredictionHeader",
    "PredictionSource",
    "PredictionWriter",
    "Predictions",
    "checksum",
    "read_predictions",
]
