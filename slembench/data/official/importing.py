"""Import of a local copy of an official set, whole or in part, as a data set folder with the official splits.

Structures are written in parts of some thousand each; an import that was stopped goes on after the last whole part.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from slembench.core.assets import user_data_folder
from slembench.core.errors import DataError
from slembench.core.files import file_lock, sha256, write_text
from slembench.core.progress import progress
from slembench.data.card import Card, parse_card, write_card
from slembench.data.convert import Source, fit_to_card
from slembench.data.dataset import Dataset
from slembench.data.formats.parquet import common_header
from slembench.data.official.copy import LocalCopy, RowSpec, open_copy
from slembench.data.official_card import OfficialCard, load_official
from slembench.data.pairs import scored_pairs
from slembench.data.readme import dataset_readme
from slembench.data.sample import Sample
from slembench.data.splits import write_splits
from slembench.data.store import Header, write_samples
from slembench.operators import OPERATORS
from slembench.operators.orbitals import FloatArray

logger = logging.getLogger(__name__)

PART = 5000
"""Structures in one Parquet file."""

LEVEL = 9
"""zstd level: imported values are not rounded, and a higher level costs thirty times the time for 2 % of the size."""

SPLIT_FILE = "splits/official.json"


@dataclass
class Totals:
    """Sums over structures, as the card counts them."""

    atoms: int = 0
    pairs: int = 0
    values: int = 0

    def count(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples themselves, counted on the way."""
        for sample in samples:
            half = next(iter(sample.operators.values())).triangle()
            self.atoms += len(sample.atoms)
            # both directions of every pair; on-site blocks are their own reverse
            self.pairs += 2 * half.n_pairs - int(half.onsite.sum())
            self.values += len(half.values)
            yield sample


@dataclass(frozen=True)
class ImportJob:
    """One import.

    Attributes:
        official: card of the set.
        copy: what the user has of it.
        card: card of the data set to be, its counts and files still empty.
        overlap: compute the overlap that QH9 files lack.
        out: folder of the data set.
    """

    official: OfficialCard
    copy: LocalCopy
    card: Card
    overlap: bool
    out: Path
    totals: Totals = field(default_factory=Totals)

    @property
    def work(self) -> Path:
        """Folder beside `out` that becomes it at the end."""
        return self.out.with_name(f".{self.out.name}.importing")


def import_official(
    name: str,
    path: Path,
    out: Path | None = None,
    *,
    source: str | None = None,
    rows: RowSpec = None,
    overlap: bool = False,
) -> Dataset:
    """Make a data set of a copy of an official set; one part is in memory at a time.

    Args:
        name: the official set.
        path: file or folder.
        out: folder of the data set; by default ``name`` in `user_data_folder`, where `load_dataset` finds it by name.
        source: format of ``path``; detected where None.
        rows: official row numbers, where the file does not tell them (`open_copy`).
        overlap: compute the overlap that QH9 files lack (needs PySCF, some milliseconds a molecule).

    Raises:
        DataError: something at ``out``, structures of another set, no training structure among them, operators that
            are missing, damaged files, or another import into ``out`` at the same time.
    """
    official = load_official(name)
    out = (user_data_folder() / name if out is None else out).absolute()
    if out.exists():
        raise DataError(f"{out}: exists already; remove it first, or write somewhere else with --out")
    copy = open_copy(official, path, source, rows)
    members = copy.members
    counts = ", ".join(f"{split} {len(ids)}" for split, ids in members.items())
    logger.info("%s is %s: %d %s; %s", path, copy.format, len(copy.ids), official.counted_in, counts)
    if "train" not in members:
        raise DataError(f"{path}: none of its {len(copy.ids)} structures is in the training split of {name}")
    job = ImportJob(official, copy, _provisional(official, copy, overlap), overlap, out)
    with file_lock(out, "importing into this folder"):
        files = _write_parts(job)
        _finish(job, files, members)
    return Dataset(out)


def _provisional(official: OfficialCard, copy: LocalCopy, overlap: bool) -> Card:
    """Card without counts; shells and radii as the official card has them, or else as the structures do."""
    samples = Source(copy.path, copy.format)
    first = next(iter(samples))
    if overlap:
        first = _overlap_adder(official, copy)(first)
    wanted = [op for op in OPERATORS if op in (*official.operators, *official.optional_operators)]
    operators = [op for op in wanted if op in first.operators]
    basis = official.basis or common_header(samples, str(copy.path)).basis
    cutoffs = official.cutoffs or reach_radii(samples)
    used = sorted(basis, key=official.elements.index)
    content = official.model_dump(mode="json", exclude_none=True, include=set(Card.model_fields))
    doubts = (f"Not confirmed: {text}" for text in official.unconfirmed)
    measured = {
        "revision": 1,
        "elements": used,
        "basis": {symbol: basis[symbol] for symbol in used},
        "cutoffs": {symbol: cutoffs[symbol] for symbol in used},
        "operators": operators,
        "counts": {"structures": 0, "splits": {}, "atoms": 0, "pairs": 0, "values": 0},
        "splits": {
            "rule": official.splits.statement,
            "seed": getattr(official.splits, "seed", 0),
            "file": SPLIT_FILE,
        },
        "origin": {"recipe": f"slembench data get {official.name}", "files": {"pending": "pending"}},
        "notes": [*official.notes, *doubts, _extent(official, copy)],
    }
    return parse_card(content | measured, copy.path)


def _extent(official: OfficialCard, copy: LocalCopy) -> str:
    here, total = len(copy.ids), official.splits.structures
    if here == total:
        return f"All {here} {official.counted_in} of the set are here."
    part = f"{here} {official.counted_in}" if total is None else f"A part: {here} of {total} {official.counted_in}"
    if not official.splits.published:
        return f"{part}; the splits were drawn over the ones that are here."
    return f"{part}, each in its official split; scores on a part are not those of the whole test set."


def _overlap_adder(official: OfficialCard, copy: LocalCopy) -> Callable[[Sample], Sample]:
    """Function that adds the overlap to a molecule of QH9."""
    if copy.format != "qh9" or "overlap" not in official.optional_operators:
        raise DataError(f"{copy.path}: the overlap is computed for QH9 files only; {copy.format} files hold their own")
    from slembench.data.formats.qh9.database import with_overlap

    return with_overlap


def reach_radii(samples: Iterable[Sample]) -> dict[str, float]:
    """Smallest radii, in steps of 0.01 Angstrom, such that no block of any structure is longer than their mean.

    Returns:
        chemical symbol -> radius in Angstrom.
    """
    reach: dict[tuple[str, str], float] = {}
    for sample in samples:
        symbols = np.array(sample.atoms.get_chemical_symbols())
        for operator in sample.operators.values():
            lengths = np.linalg.norm(operator.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
            names = np.sort(symbols[operator.pair_index], axis=1)
            for a, b in np.unique(names, axis=0).tolist():
                longest = _longest(lengths, names, a, b)
                reach[a, b] = max(reach.get((a, b), 0.0), longest)
    # A pair is scored up to the mean of two radii. Like pairs fix the radii from below; a mixed pair that reaches
    # further raises both, each by the whole lack, since the mean takes half of either.
    radii = {a: np.ceil(100 * length) / 100 for (a, b), length in reach.items() if a == b}
    for (a, b), length in sorted(reach.items()):
        lack = length - (radii[a] + radii[b]) / 2
        if lack > 0:
            radii[a], radii[b] = (np.ceil(100 * (radii[x] + lack)) / 100 for x in (a, b))
    return {symbol: round(float(radius), 2) for symbol, radius in radii.items()}


def _longest(lengths: FloatArray, names: np.ndarray[Any, Any], a: str, b: str) -> float:
    return float(lengths[(names == (a, b)).all(axis=1)].max())


def on_scored_pairs(sample: Sample, cutoffs: dict[int, float]) -> Sample:
    """The sample with a block for every scored pair and no other: blocks that are not there are zero."""
    index, shift = scored_pairs(sample.atoms, cutoffs)
    blocks = {name: operator.complete().align(index, shift)[0] for name, operator in sample.operators.items()}
    return replace(sample, operators=blocks)


def _write_parts(job: ImportJob) -> dict[str, str]:
    """Write all parts that are not there yet; path below the data set's folder -> sha256."""
    state = job.work / "import.json"
    done = _resumed(job, state)
    card = job.card
    header = Header(card.basis, card.units.energy, card.energy_zero, tuple(card.operators))
    samples = iter(Source(job.copy.path, job.copy.format))
    count = -(-len(job.copy.ids) // PART)
    for number in progress(range(count), job.official.name):
        name = f"data/structures-{number:04d}.parquet" if count > 1 else "data/structures.parquet"
        part = islice(samples, PART)
        if name not in done["parts"]:
            totals = Totals()
            write_samples(job.work / name, totals.count(_fitted(part, job)), header, LEVEL)
            done["parts"][name] = [sha256(job.work / name), totals.atoms, totals.pairs, totals.values]
            write_text(state, json.dumps(done))
        for _ in part:
            pass  # a part that was written before is read over, to come to the next one
    for _, atoms, pairs, values in done["parts"].values():
        job.totals.atoms += atoms
        job.totals.pairs += pairs
        job.totals.values += values
    return {name: part[0] for name, part in done["parts"].items()}


def _resumed(job: ImportJob, state: Path) -> dict[str, Any]:
    """State of an interrupted import of the same copy; anything else in its folder is removed."""
    # path, time, ids and card: anything else that changed would mix two imports in one folder
    same = [str(job.copy.path.absolute()), job.copy.path.stat().st_mtime, job.copy.ids, job.card.model_dump_json()]
    stamp = hashlib.sha256(json.dumps(same).encode()).hexdigest()
    if state.is_file():
        found: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
        if found["stamp"] == stamp:
            return found
    shutil.rmtree(job.work, ignore_errors=True)
    return {"stamp": stamp, "parts": {}}


def _fitted(samples: Iterable[Sample], job: ImportJob) -> Iterator[Sample]:
    if job.overlap:
        samples = map(_overlap_adder(job.official, job.copy), samples)
    for sample in samples:
        fitted = fit_to_card(sample, job.card, str(job.copy.path))
        yield on_scored_pairs(fitted, job.card.cutoff_radii) if job.card.periodic else fitted


def _finish(job: ImportJob, files: dict[str, str], members: dict[str, list[str]]) -> None:
    """Splits, card and README; then the folder gets its name."""
    content = job.card.model_dump(mode="json", exclude_none=True)
    content["counts"] = {
        "structures": len(job.copy.ids),
        "splits": {split: len(ids) for split, ids in members.items()},
        "atoms": job.totals.atoms,
        "pairs": job.totals.pairs,
        "values": job.totals.values,
    }
    content["origin"]["files"] = files
    card = parse_card(content, job.work / "card.yaml")
    write_splits(job.work / SPLIT_FILE, members)
    write_card(card, job.work)
    write_text(job.work / "README.md", dataset_readme(card, job.work / next(iter(files))))
    job.work.rename(job.out)
    (job.out / "import.json").unlink()
