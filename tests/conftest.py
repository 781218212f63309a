"""Two small data sets with made-up operators, and third-party files where they are at hand."""

import logging
import os
from pathlib import Path

import ase
import numpy as np
import pandas as pd
import pytest
import yaml

from slembench.core.files import sha256
from slembench.data import Sample, SampleInfo, load_card, load_dataset
from slembench.data.card import CARD_FILE
from slembench.data.pairs import scored_pairs
from slembench.data.splits import write_splits
from slembench.data.store import Header, write_samples
from slembench.metrics.scores import scores_from_table
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.results.record import Cost, RunRecord, ScoreValue, TrainingSummary, write_record, write_table

SHELLS = {"B": "2s1p", "N": "1s1p1d"}
CUTOFFS = {"B": 3.0, "N": 4.0}


@pytest.fixture(scope="session")
def real_files():
    """Folder of third-party files; the test is skipped where it is absent."""
    folder = os.environ.get("SLEMBENCH_REAL_FILES")
    if not folder:
        pytest.skip("third-party files: set SLEMBENCH_REAL_FILES to their folder")
    return Path(folder)


@pytest.fixture
def logged(caplog):
    """What the package logs: pytest's caplog, with progress messages as a command shows them."""
    caplog.set_level(logging.INFO, logger="slembench")
    return caplog


@pytest.fixture(scope="session")
def make_dataset():
    """Function that stores samples as a data set and opens it; keywords of `store_dataset`."""
    return store_dataset


@pytest.fixture(scope="session")
def write_run():
    """Function that writes record and table of a run that was never made; arguments of `store_run`."""
    return store_run


@pytest.fixture(scope="session")
def crystals(tmp_path_factory):
    """Data set of 12 distorted BN layers, 2 atoms each, H and S in eV, 8 electrons, splits train, val, test."""
    rng = np.random.default_rng(3)
    samples = [_made_up(f"s{k:02d}", rng, True, group=f"g{k // 2}") for k in range(12)]
    bands = {"kmesh": [3, 3, 1], "window_eV": 5.0}
    return store_dataset(tmp_path_factory.mktemp("data") / "made-up-crystals", samples, CUTOFFS, bands=bands)


@pytest.fixture(scope="session")
def molecules(tmp_path_factory):
    """Data set of 12 bent BNB molecules, H, S and D in Hartree, 10 electrons, splits train, val, test."""
    rng = np.random.default_rng(4)
    samples = [_made_up(f"s{k:02d}", rng, False, group=f"g{k // 2}") for k in range(12)]
    return store_dataset(tmp_path_factory.mktemp("data") / "made-up-molecules", samples, CUTOFFS)


def _made_up(name, rng, periodic, group):
    """Structure with random Hermitian blocks that decay with distance; S is close to one."""
    if periodic:
        cell = [[2.5, 0, 0], [-1.25, 2.165, 0], [0, 0, 12]]
        atoms = ase.Atoms("BN", positions=[[0, 0, 6], [0, 1.443, 6]], cell=cell, pbc=(True, True, False))
    else:
        atoms = ase.Atoms("BNB", positions=[[0, 0, 0], [1.3, 0.2, 0], [2.4, -0.6, 0.3]])
    atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
    index, shift = scored_pairs(atoms, {5: CUTOFFS["B"], 7: CUTOFFS["N"]})
    blocks = {}
    for op in ("hamiltonian", "overlap") if periodic else ("hamiltonian", "overlap", "density"):
        matrix = BlockMatrix.zeros(Basis.parse(SHELLS), atoms.numbers, index, shift)
        length = np.linalg.norm(matrix.vectors(atoms.positions, atoms.cell.array), axis=1)[matrix.element_pair]
        size = {"hamiltonian": 3.0, "overlap": 0.05, "density": 0.5}[op]
        matrix = matrix.with_values(size * rng.normal(size=len(length)) * np.exp(-length)).hermitise()
        diagonal = matrix.onsite[matrix.element_pair] & (matrix.element_rows == matrix.element_columns)
        level = {"hamiltonian": -5.0 * (matrix.element_rows % 3), "overlap": 1.0, "density": 1.0}[op]
        blocks[op] = matrix.with_values(matrix.values + level * diagonal)
    info = SampleInfo("eV" if periodic else "Hartree", "vacuum", 8.0 if periodic else 10.0, group=group)
    return Sample(name, atoms, Basis.parse(SHELLS), blocks, info)


def store_dataset(folder, samples, cutoffs, *, splits=None, bands=None):
    """Write samples, splits (by default 6 train, 2 val, the rest test) and a card; returns the opened data set."""
    first, ids = samples[0], [sample.id for sample in samples]
    splits = splits or {"train": ids[:6], "val": ids[6:8], "test": ids[8:]}
    header = Header(first.basis.to_dict(), first.info.energy_unit, first.info.energy_zero, tuple(first.operators))
    folder.mkdir()
    write_samples(folder / "data.parquet", samples, header)
    write_splits(folder / "splits.json", splits)
    (folder / CARD_FILE).write_text(yaml.safe_dump(_card(folder, samples, header, cutoffs, splits, bands)))
    return load_dataset(folder)


def _card(folder, samples, header, cutoffs, splits, bands):
    complete = [sample.operators["hamiltonian"].complete() for sample in samples]
    counts = {
        "structures": len(samples),
        "splits": {name: len(ids) for name, ids in splits.items()},
        "atoms": sum(len(sample.atoms) for sample in samples),
        "pairs": sum(matrix.n_pairs for matrix in complete),
        "values": sum(len(matrix.triangle().values) for matrix in complete),
    }
    theory = dict.fromkeys(("code", "version", "functional", "basis", "pseudopotential"), "stated elsewhere")
    card = {
        "name": folder.name,
        "title": "data of a test",
        "revision": 1,
        "description": "data of a test",
        "elements": list(header.basis),
        "basis": header.basis,
        "cutoffs": cutoffs,
        "units": {"energy": header.energy_unit, "length": "Angstrom"},
        "energy_zero": header.energy_zero,
        "periodic": bands is not None,
        "level_of_theory": theory,
        "convention": "canonical",
        "operators": list(header.operators),
        "counts": counts,
        "splits": {"rule": "in order", "seed": 1, "file": "splits.json"},
        "official": {"average": "pooled", "counting": "full", "metrics": ["mae_all", "band_mae_occ"]},
        "licence": "CC0",
        "origin": {"recipe": "tests", "files": {"data.parquet": sha256(folder / "data.parquet")}},
        "citation": "none",
        "redistribution": True,
    }
    return card | ({"bands": bands} if bands else {})


def made_up_table(errors, groups=None):
    """Per-structure table of H: ``errors`` (S,) | eV | MAE of each structure; 10 on-site, 30 off-site elements."""
    errors = np.asarray(errors, dtype=float)
    ids = [f"s{k:02d}" for k in range(len(errors))]
    columns = {"id": ids, "group": groups or ids, "n_atoms": 3, "energy_unit": "eV"}
    for counting in ("full", "reduced"):
        for part, count, factor in (("onsite", 10, 2.0), ("offsite", 30, 2 / 3)):
            prefix = f"hamiltonian.{part}.{counting}"
            columns[f"{prefix}.abs_sum"] = factor * errors * count
            columns[f"{prefix}.sq_sum"] = (factor * errors) ** 2 * count
            columns[f"{prefix}.count"] = count
            columns[f"{prefix}.max"] = 2 * factor * errors
    return pd.DataFrame(columns)


def store_run(folder, name, errors, *, seed=1, model="slem", kind="model", with_table=True, groups=None, **changes):
    """Write one run of mos2-mini with known errors of H (`made_up_table`); ``changes`` are keys of its record."""
    rows = made_up_table(errors, groups)
    scores, unavailable = scores_from_table(rows)
    training = TrainingSummary(
        seed=seed, partition=100, n_train=60, steps=9, structures_seen=18, wall_s=90.0, budget="9 steps"
    )
    content = {
        "name": name,
        "model": model,
        "model_kind": kind,
        "config": {"layers": 2, "training": {"seed": seed}},
        "dataset": "mos2-mini",
        "dataset_revision": 1,
        "dataset_fingerprint": load_card("mos2-mini").fingerprint,
        "split": "test",
        "split_hash": "a" * 64,
        "targets": ("hamiltonian",),
        "training": training if kind == "model" else None,
        "scores": {key: ScoreValue(value=score.value, unit=score.unit) for key, score in scores.items()},
        "unavailable": {**unavailable, "levels": "the data set has no overlap"},
        "cost": Cost(parameters=12345, train_wall_s=90.0) if kind == "model" else Cost(),
        "created": "2026-01-01T00:00:00+00:00",
    }
    write_record(RunRecord(**(content | changes)), folder)
    if with_table:
        write_table(rows.sample(frac=1, random_state=seed), folder / "per_structure.parquet")
    return folder
