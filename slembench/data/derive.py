"""A data set made of another one's structures: other splits, or a smaller cutoff, with a card of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from slembench.core.errors import DataError
from slembench.core.files import atomic_folder, sha256
from slembench.data.card import CARD_FILE, parse_card, write_card
from slembench.data.dataset import Dataset
from slembench.data.pairs import scored_pairs
from slembench.data.recipes.assemble import SPLIT_FILE
from slembench.data.sample import Sample
from slembench.data.splits import check_splits, write_splits
from slembench.data.store import Header, write_samples
from slembench.operators.blocks import lookup, pair_keys

DATA_FILE = "data.parquet"
QUICK = 3
"""zstd level of a temporary file: fast, a few per cent larger than the level of shipped files."""


def derive(
    source: Dataset,
    out: Path,
    splits: Mapping[str, Sequence[str]] | None = None,
    *,
    cutoff_factor: float = 1.0,
    rule: str,
    cache: Path | None = None,
) -> Dataset:
    """Make a data set of the structures of another one.

    With the same cutoffs its data files are links to the source's, so that its fingerprint is the source's too. A set
    of crystals with shorter cutoffs has no bands: what a cut leaves of an overlap need not be positive definite.

    Args:
        source: holds the structures.
        out: folder to make; its name becomes the data set's. One that is there is opened as it is.
        splits: split -> ids; the source's own where not given.
        cutoff_factor: on every cutoff radius, in (0, 1]; blocks of longer pairs are left out.
        rule: says on the card how the splits were made.
        cache: see `Dataset`.

    Raises:
        DataError: ids that the source does not have or in two splits, a folder of something else in the way, or a
            source whose files belong to yet another data set.
    """
    # several jobs of a study may ask for the same derived set at once: whoever comes first makes it, others open it
    if (out / CARD_FILE).is_file():
        return Dataset(out, cache)
    chosen = {name: list(ids) for name, ids in (splits or {n: source.split(n) for n in source.splits}).items()}
    check_splits(chosen, source.ids, str(out))
    used = {structure for ids in chosen.values() for structure in ids}
    content = source.card.model_dump(mode="json", exclude_none=True)
    content |= {"name": out.name, "title": f"{source.card.title}: {rule}"}
    content["splits"] |= {"rule": rule, "file": SPLIT_FILE}
    content["counts"]["splits"] = {name: len(ids) for name, ids in chosen.items()}
    hard = content.get("challenging")
    if hard:
        hard["samples"] = [structure for structure in hard.get("samples", []) if structure in used]
    try:
        with atomic_folder(out) as folder:
            write_splits(folder / SPLIT_FILE, chosen)
            if cutoff_factor == 1.0:
                _link_files(source, folder)
            else:
                ids = [structure for structure in source.ids if structure in used]
                _write_shorter(source, ids, cutoff_factor, folder, content)
            write_card(parse_card(content, out / CARD_FILE), folder)
    except FileExistsError:
        if not (out / CARD_FILE).is_file():
            raise DataError(f"{out}: is in the way of a data set and holds something else") from None
    return Dataset(out, cache)


def _link_files(source: Dataset, folder: Path) -> None:
    """Links to the source's data files, under the same names."""
    for file in source.card.origin.files:
        # a resplit set refers to files of the set beside it, which a link from here would not name rightly
        if ".." in Path(file).parts:
            raise DataError(f"{source.root}: key 'origin.files': {file} lies outside its folder; derive from its owner")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).symlink_to((source.root / file).resolve())


def _write_shorter(source: Dataset, ids: list[str], factor: float, folder: Path, content: dict[str, Any]) -> None:
    """Data file with the blocks of pairs under shorter cutoffs; puts cutoffs, counts and origin into the card."""
    card = source.card
    cutoffs = {z: factor * radius for z, radius in source.cutoffs.items()}
    rounding = {str(name): quantum for name, quantum in card.rounding.items()}
    header = Header(dict(card.basis), card.units.energy, card.energy_zero, card.operators, rounding)
    counts = {"structures": len(ids), "atoms": 0, "pairs": 0, "values": 0}

    def shorter() -> Iterator[Sample]:
        for sample in source.iterate(ids):
            index, shift = scored_pairs(sample.atoms, cutoffs)
            kept = np.sort(pair_keys(index, shift))
            operators = {}
            # pairs of the stored triangle that the shorter cutoffs still score; on-site blocks are always among them
            for name, matrix in sample.operators.items():
                inside = lookup(kept, matrix.pair_keys()) >= 0
                operators[name] = matrix.take(np.flatnonzero(inside))
            counts["atoms"] += len(sample.atoms)
            counts["pairs"] += len(index)
            counts["values"] += len(next(iter(operators.values())).triangle().values)
            yield replace(sample, operators=operators)

    write_samples(folder / DATA_FILE, shorter(), header, QUICK)
    content["cutoffs"] = {symbol: factor * radius for symbol, radius in card.cutoffs.items()}
    content["counts"] |= counts
    # an S with its long-range part cut off may have negative eigenvalues: no generalised eigenproblem, no bands
    content.pop("bands", None)
    content["origin"] = {
        "recipe": f"{source.name} with {factor:g} times its cutoffs",
        "files": {DATA_FILE: sha256(folder / DATA_FILE)},
    }
