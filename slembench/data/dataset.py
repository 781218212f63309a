"""A data set: card, samples, splits, the scored pair set, and the hashes that pin all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from slembench.core.errors import DataError
from slembench.core.files import sha256
from slembench.data.card import CARD_FILE, Card, read_card
from slembench.data.pairs import scored_pairs
from slembench.data.sample import Sample, pair_name
from slembench.data.splits import partition, read_splits
from slembench.data.store import SampleStore
from slembench.operators.blocks import BlockMatrix, pair_keys, pair_vectors
from slembench.operators.orbitals import Basis, IntArray


class Dataset:
    """One data set folder: ``card.yaml``, the split file and the Parquet files that the card names.

    Attributes:
        root: the folder.
        card: its card.
        basis: shells per element.
        cutoffs: atomic number -> radius r in Angstrom; pairs up to (r_i + r_j) / 2 are scored.
        ids: every structure, in stored order.

    Args:
        root: the folder.
        cache: folder for the memory-mapped copy of the data; that of `datasets` (HF_DATASETS_CACHE) where not given.

    Raises:
        DataError: whatever is wrong with card, splits or files at first sight: unknown keys, unit words, duplicate ids,
            overlapping splits, counts, columns, truncated files. Every message names file, structure and key.
    """

    def __init__(self, root: str | Path, cache: str | Path | None = None) -> None:
        self.root = Path(root)
        self.card: Card = read_card(self.root)
        self.basis: Basis = self.card.orbital_basis
        self.cutoffs: dict[int, float] = self.card.cutoff_radii
        self._store = SampleStore([self.root / file for file in self.card.origin.files], cache)
        self.ids: list[str] = self._store.ids
        self._splits = read_splits(self.root / self.card.splits.file, self.ids)
        self._checked: set[str] = set()
        self._check_against_card()

    @property
    def name(self) -> str:
        """Name on the card."""
        return self.card.name

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self._splits)

    def split(self, name: str) -> list[str]:
        """Ids of one split.

        Raises:
            DataError: no split of that name.
        """
        if name not in self._splits:
            raise DataError(f"data set {self.name}: no split {name!r}; it has {', '.join(self._splits)}")
        return list(self._splits[name])

    def test_splits(self, wanted: Sequence[str] = ()) -> list[str]:
        """Splits that models are scored on.

        Args:
            wanted: their names; by default all but train and val.

        Raises:
            DataError: no split of that name.
        """
        chosen = list(wanted) or [name for name in self._splits if name not in ("train", "val")]
        for name in chosen:
            self.split(name)
        return chosen

    def partition(self, percent: int) -> list[str]:
        """Nested subset of the training split; ``percent`` is 100, 80, 60, 40 or 20.

        Raises:
            DataError: another percentage.
        """
        return partition(self.split("train"), percent, self.card.splits.seed)

    def sample(self, identifier: str) -> Sample:
        """One structure with its operators on the stored triangle of the scored pairs.

        Raises:
            DataError: unknown id; wrong array lengths, unknown element, values that are not finite; a scored pair
                without a block or a block outside the scored pair set.
        """
        sample = self._store.sample(identifier)
        if identifier not in self._checked:
            self.pairs(sample)
            self._checked.add(identifier)
        return sample

    def iterate(self, ids: Iterable[str] | None = None) -> Iterator[Sample]:
        """Samples of the given ids, or of all, in order (see `sample`)."""
        return map(self.sample, self.ids if ids is None else ids)

    def pairs(self, sample: Sample) -> tuple[IntArray, IntArray]:
        """Scored pair list of a sample, both directions and on-site, equal to what is stored once that is completed.

        Returns:
            (P, 2) atoms and (P, 3) translations: on-site first, then sorted by i, j, R.

        Raises:
            DataError: a scored pair has no block, or a block is not scored; names the pair and its distance.
        """
        # the pair set that is scored follows from positions and cutoffs alone; what is stored must be exactly that
        index, shift = scored_pairs(sample.atoms, self.cutoffs)
        scored = np.sort(pair_keys(index, shift))
        checked: BlockMatrix | None = None
        for key, operator in sample.operators.items():
            # operators of one structure share their pair arrays in memory: compared once
            if checked and operator.pair_index is checked.pair_index and operator.pair_shift is checked.pair_shift:
                continue
            both = np.union1d(operator.pair_keys(), pair_keys(operator.pair_index[:, ::-1], -operator.pair_shift))
            if not np.array_equal(both, scored):
                raise DataError(self._pair_problem(sample, key, index, shift, both))
            checked = operator
        return index, shift

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the sha256 of every data file.

        Raises:
            DataError: a file whose sha256 is not the one on the card.
        """
        for file, expected in sorted(self.card.origin.files.items()):
            found = sha256(self.root / file)
            if found != expected:
                raise DataError(
                    f"{self.root / file}: sha256 {found} is not the card's {expected} (key 'origin.files.{file}');"
                    " the file was changed or damaged: fetch or generate it again"
                )
        return self.card.fingerprint

    def split_hash(self, name: str) -> str:
        """sha256 over the sorted ids of a split, each with the hash of its scored pair set.

        Raises:
            DataError: no such split.
        """
        # ids with their pair sets: a change of a cutoff changes what is scored, and with it the hash
        whole = hashlib.sha256()
        for identifier in sorted(self.split(name)):
            index, shift = self.pairs(self._store.sample(identifier))
            pairs = hashlib.sha256(np.sort(pair_keys(index, shift)).astype("<i8").tobytes()).hexdigest()
            whole.update(f"{identifier} {pairs}\n".encode())
        return whole.hexdigest()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, revision {self.card.revision}, {len(self)} structures)"

    def _check_against_card(self) -> None:
        header, card, path = self._store.header, self.card, self.root / CARD_FILE
        pairs = (
            ("units.energy", card.units.energy, header.energy_unit),
            ("energy_zero", card.energy_zero, header.energy_zero),
            ("operators", tuple(card.operators), header.operators),
            ("rounding", dict(card.rounding), header.rounding),
            ("basis", self.basis.to_dict(), self._store.basis.to_dict()),
            ("counts.structures", card.counts.structures, len(self)),
            ("counts.splits", dict(card.counts.splits), {name: len(ids) for name, ids in self._splits.items()}),
        )
        for key, stated, found in pairs:
            if stated != found:
                raise DataError(f"{path}: key {key!r}: says {stated!r}, the data files hold {found!r}")
        if "train" not in self._splits:
            raise DataError(f"{self.root / card.splits.file}: key 'train': every data set needs a training split")

    def _pair_problem(self, sample: Sample, key: str, index: IntArray, shift: IntArray, both: IntArray) -> str:
        place = f"{self._store.file_of(sample.id)}: structure {sample.id!r}: key {key!r}"
        operator = sample.operators[key]
        missing = np.flatnonzero(~np.isin(pair_keys(index, shift), both))
        if len(missing):
            first = missing[:1]
            atoms = sample.atoms
            length = np.linalg.norm(pair_vectors(atoms.positions, atoms.cell.array, index[first], shift[first]))
            i, j = index[missing[0]].tolist()
            return (
                f"{place}: {len(missing)} of {len(index)} scored pairs have no block, the first i={i} j={j}"
                f" R={tuple(shift[missing[0]].tolist())} at {length:.4f} Angstrom; the card's cutoffs ask for it"
            )
        scored = pair_keys(index, shift)
        extra = np.flatnonzero(~np.isin(operator.pair_keys(), scored))
        length = np.linalg.norm(operator.vectors(sample.atoms.positions, sample.atoms.cell.array)[extra[0]])
        return (
            f"{place}: {len(extra)} blocks lie outside the card's cutoffs, the first"
            f" {pair_name(operator, int(extra[0]))} at {length:.4f} Angstrom"
        )
