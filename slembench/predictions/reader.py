"""Random access to a checked predictions file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import PredictionError
from slembench.operators import OPERATORS
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import IntArray
from slembench.predictions.checks import check_file, reading
from slembench.predictions.format import PredictionHeader


class Predictions:
    """An open predictions file; operators are read from it one structure at a time. Opened by `read_predictions`.

    Attributes:
        attrs: its attributes: data set, split, model, basis and units.
        ids: structure ids, in file order.
        operators: names of the operators it holds.
        checksum: sha256 of its content, as stored in it; "" where its writer left it out.
    """

    def __init__(self, path: Path, file: h5py.File, attrs: PredictionHeader, ids: list[str]) -> None:
        self.path, self.attrs, self.ids = path, attrs, ids
        self.operators: tuple[str, ...] = tuple(name for name in OPERATORS if name in file["operators"])
        self.checksum = str(file.attrs.get("checksum", ""))
        self._file = file
        self._number = {id: m for m, id in enumerate(ids)}
        self._atoms: IntArray = file["atom_offsets"][:]
        self._pairs: IntArray = file["pair_offsets"][:]
        self._values: dict[str, IntArray] = {op: file[f"operators/{op}/offsets"][:] for op in self.operators}

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, structure: object) -> bool:
        return structure in self._number

    def __getitem__(self, structure: str) -> dict[str, BlockMatrix]:
        """Operators of one structure: name -> blocks, float64, in ``attrs.energy_unit`` (H) or dimensionless.

        Raises:
            PredictionError: no such structure in the file.
        """
        if structure not in self._number:
            raise PredictionError(f"{self.path}: no structure {structure!r} in this file")
        m = self._number[structure]  # row of the offset tables
        numbers = self._file["numbers"][self._atoms[m] : self._atoms[m + 1]]
        rows = slice(self._pairs[m], self._pairs[m + 1])
        index, shift = self._file["pair_index"][rows], self._file["pair_shift"][rows]
        return {
            op: BlockMatrix(self.attrs.basis, numbers, index, shift, self._operator_values(op, m))
            for op in self.operators
        }

    def _operator_values(self, operator: str, m: int) -> NDArray[np.float64]:
        offsets = self._values[operator]
        values = self._file[f"operators/{operator}/values"][offsets[m] : offsets[m + 1]]
        return np.asarray(values, dtype=np.float64)  # float32 files are scored in float64

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Predictions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_predictions(path: str | Path) -> Predictions:
    """Open a predictions file after checking all of it.

    Args:
        path: an HDF5 file in the format of `slembench.predictions`, from `PredictionWriter` or any other program.

    Returns:
        The open file; use it in a ``with`` block or close it.

    Raises:
        PredictionError: no such file, truncated or not HDF5, a missing or misshapen key, an unknown unit word, element
            or operator, a repeated id or pair, a value that is not finite, a wrong checksum; names file, key and
            structure.
    """
    path = Path(path)
    if not path.is_file():
        raise PredictionError(f"{path}: no such file")
    file = reading(path, lambda: h5py.File(path, "r"))
    try:
        return reading(path, lambda: Predictions(path, file, *check_file(path, file)))
    except BaseException:
        file.close()  # also after an interrupt: an open handle would block a writer of the same file
        raise
