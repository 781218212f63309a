"""Assembly on made-up operators: eigenvalues come from SciPy on the values before rounding."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import yaml

import slembench.data.recipes.assemble as assembly
from slembench.core.errors import DataError
from slembench.core.files import sha256
from slembench.data import load_dataset
from slembench.data.recipes.assemble import Template, assemble, divide, list_named, read_template
from slembench.data.recipes.records import read_record
from slembench.data.recipes.verify import band_error, far_overlap

KPOINTS = np.array([[0, 0, 0], [0.5, 0, 0], [0.13, 0.29, 0]])
TEMPLATE = {
    "recipe": "slembench.data.recipes.mos2",
    "cells": {"small": "bn-small-*", "large": "bn-large-*"},
    "splits": {
        "seed": 3,
        "main": "small",
        "shares": {"train": 5, "val": 1, "test": 2},
        "extra": {"test_large": "large"},
    },
    "limits": {"far_overlap": 1.0},
    "card": {
        **dict.fromkeys(("title", "description", "licence", "citation"), "x"),
        "name": "bn",
        "revision": 1,
        "periodic": True,
        "level_of_theory": dict.fromkeys(("code", "version", "functional", "basis", "pseudopotential"), "none"),
        "convention": "canonical",
        "rounding": {"hamiltonian": 2.0**-20, "overlap": 2.0**-24},
        "official": {"average": "pooled", "counting": "full", "metrics": ["mae_all"]},
        "bands": {"kmesh": [3, 3, 1], "window_eV": 5.0},
        "redistribution": True,
        "numerical_noise": {"measured": "never"},
    },
}


@pytest.fixture
def workdir(crystals, tmp_path, monkeypatch):
    """Work directory of ten structures, eight of them small, and their template."""
    monkeypatch.setattr(assembly, "TEMPLATES", tmp_path / "templates")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/bn.yaml").write_text(yaml.safe_dump(TEMPLATE))
    (tmp_path / "work/structures").mkdir(parents=True)
    for number, sample in enumerate(crystals.iterate(crystals.ids[:10])):
        kind, n = ("small", number) if number < 8 else ("large", number - 8)
        write_record(tmp_path / f"work/structures/bn-{kind}-{n:04d}.npz", sample)
    return tmp_path / "work"


def write_record(path, sample):
    bloch = [sample.operators[name].at_k(KPOINTS) for name in ("hamiltonian", "overlap")]
    first, second = sample.operators["hamiltonian"].pair_index.T
    arrays = {
        "id": path.stem,
        "numbers": sample.atoms.numbers,
        "positions": sample.atoms.positions,
        "cell": sample.atoms.cell.array,
        "pbc": sample.atoms.pbc,
        "basis": json.dumps(sample.basis.to_dict()),
        "pair_radii": json.dumps({"B": 3.0, "N": 4.0}),
        "pair_i": first,
        "pair_j": second,
        "pair_shift": sample.operators["hamiltonian"].pair_shift,
        "hamiltonian": sample.operators["hamiltonian"].values,
        "overlap": sample.operators["overlap"].values,
        "electrons": 8.0,
        "energy": -10.0,
        "fermi_level": -2.0,
        "energy_zero": "vacuum",
        "smearing_width": 0.05,
        "kmesh_scf": [3, 3, 1],
        "kmesh_ft": [5, 5, 1],
        "check_kpoints": KPOINTS,
        "check_eigenvalues": [scipy.linalg.eigvalsh(h, s) for h, s in zip(*bloch, strict=True)],
        "check_electrons_error": 1e-8,
    }
    np.savez(path, **arrays)


def change_record(path, **arrays):
    with np.load(path) as archive:
        content = {**archive, **arrays}
    np.savez(path, **{key: value for key, value in content.items() if value is not None})


def test_whole_road(workdir, tmp_path, logged):
    dataset = assemble("bn", workdir, tmp_path / "out/bn")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bn"]
    assert {name: len(dataset.split(name)) for name in dataset.splits} == {
        "train": 5, "val": 1, "test": 2, "test_large": 2
    }  # fmt: skip
    assert dataset.split("test_large") == ["bn-large-0000", "bn-large-0001"]
    assert logged.messages[-1] == "10 structures verified"
    assert "provisional" not in logged.text
    card = dataset.card
    assert card.counts.structures == 10
    assert card.counts.atoms == 20
    assert card.counts.pairs == sum(len(dataset.pairs(sample)[0]) for sample in dataset.iterate())
    assert card.cutoffs == {"B": 3.0, "N": 4.0}
    assert card.level_of_theory.kmesh_scf == {"small": (3, 3, 1), "large": (3, 3, 1)}
    assert card.energy_zero == "vacuum"
    assert card.origin.files == {"data/structures.parquet": sha256(dataset.root / "data/structures.parquet")}
    assert card.checks["structures_verified"] == 10
    assert 1e-4 < card.checks["max_eigenvalue_error_meV"] < 1e-1
    assert card.checks["max_electrons_error"] == 1e-8
    assert len(load_dataset(tmp_path / "out/bn").fingerprint) == 64


def test_stored_values_are_the_records_own_rounded(workdir, tmp_path):
    dataset = assemble("bn", workdir, tmp_path / "bn")
    for name, quantum in TEMPLATE["card"]["rounding"].items():
        stored = dataset.sample("bn-small-0002").operators[name]
        record = read_record(workdir / "structures/bn-small-0002.npz").sample.operators[name]
        values = record.align(stored.pair_index, stored.pair_shift)[0].values
        assert np.abs(stored.values - values).max() <= quantum / 2
        assert stored.hermiticity_error() == 0


def test_incomplete_work_directory_is_announced(workdir, tmp_path, logged):
    (workdir / "structures/bn-small-0001.npz").unlink()
    dataset = assemble("bn", workdir, tmp_path / "bn")
    assert logged.messages[0] == "provisional: 7 of 8 small structures are there, split in proportion"
    assert len(dataset) == 9


def test_same_structures_give_the_same_data_and_splits(workdir, tmp_path):
    first, second = (assemble("bn", workdir, tmp_path / name) for name in ("a", "b"))
    assert first.fingerprint == second.fingerprint
    assert [first.split_hash(name) for name in first.splits] == [second.split_hash(name) for name in second.splits]


def test_existing_data_set_is_replaced_only_by_a_good_one(workdir, tmp_path):
    before = assemble("bn", workdir, tmp_path / "bn").fingerprint
    path = workdir / "structures/bn-small-0003.npz"
    values = np.load(path)["check_eigenvalues"]
    values[1, 2] += 2e-3
    change_record(path, check_eigenvalues=values)
    with pytest.raises(
        DataError, match=r"structure 'bn-small-0003': check 'eigenvalue_meV': 2\d*, the limit is 1|: 2, "
    ):
        assemble("bn", workdir, tmp_path / "bn")
    assert load_dataset(tmp_path / "bn").fingerprint == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bn", "templates", "work"]


def test_unoccupied_bands_far_up_do_not_count(workdir):
    record = read_record(workdir / "structures/bn-small-0003.npz")
    record.eigenvalues[:, 8:] += 1.0
    assert band_error(record.sample, record)[0] < 1e-6
    record.eigenvalues[0, 7] += 0.01
    assert band_error(record.sample, record)[0] == pytest.approx(10, abs=1e-3)


def test_smallest_overlap_eigenvalue(workdir):
    record = read_record(workdir / "structures/bn-small-0003.npz")
    smallest = min(np.linalg.eigvalsh(s).min() for s in record.sample.operators["overlap"].at_k(KPOINTS))
    assert band_error(record.sample, record)[1] == pytest.approx(smallest)
    record.sample.operators["overlap"] = record.sample.operators["overlap"] * -1
    assert band_error(record.sample, record)[0] == np.inf


def test_far_overlap_sees_a_wrong_translation(workdir):
    sample = read_record(workdir / "structures/bn-small-0003.npz").sample
    overlap = sample.operators["overlap"]
    length = np.linalg.norm(overlap.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    farthest = int(length.argmax())
    per_block = np.where(length > 0.9 * length[farthest], 1e-4, -2.0)
    per_block[farthest] = 0.6
    sample.operators["overlap"] = overlap.with_values(per_block[overlap.element_pair])
    assert far_overlap(sample, dict.fromkeys((5, 7), length[farthest])) == pytest.approx(0.3)
    assert far_overlap(sample, dict.fromkeys((5, 7), length[farthest] * 2)) == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fermi_level": None}, "key 'fermi_level': missing"),
        ({"id": "other"}, "key 'id': 'other', must be the file's name"),
        ({"overlap": np.ones(3)}, "values has shape (3,)"),
        ({"basis": json.dumps({"B": "2s1p", "N": "2s1q"})}, "shells of N must look like"),
        ({"basis": json.dumps({"B": "2s1p"})}, "element N has no shells"),
        ({"check_electrons_error": 0.1}, "check 'electrons': 0.1, the limit is 0.001"),
        ({"energy_zero": "Fermi level"}, "key 'energy_zero': 'Fermi level', the file's is 'vacuum'"),
        ({"kmesh_ft": [7, 7, 1]}, "key 'kmesh_ft': (7, 7, 1), others have (5, 5, 1)"),
        ({"pair_radii": json.dumps({"B": 3.0, "N": 4.5})}, "key 'pair_radii'"),
    ],
)
def test_wrong_record_names_file_structure_and_key(workdir, tmp_path, arrays, message):
    change_record(workdir / "structures/bn-small-0003.npz", **arrays)
    with pytest.raises(DataError) as caught:
        assemble("bn", workdir, tmp_path / "bn")
    assert "structure 'bn-small-0003': " in str(caught.value)
    assert message in str(caught.value)
    assert not (tmp_path / "bn").exists()


def test_nan_and_truncated_records(workdir, tmp_path):
    path = workdir / "structures/bn-small-0003.npz"
    values = np.load(path)["hamiltonian"]
    values[5] = np.nan
    change_record(path, hamiltonian=values)
    with pytest.raises(DataError, match=r"bn-small-0003.npz: structure 'bn-small-0003': key 'hamiltonian': 1 of"):
        assemble("bn", workdir, tmp_path / "bn")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"bn-small-0003.npz: structure 'bn-small-0003': not readable as NPZ"):
        assemble("bn", workdir, tmp_path / "bn")


def test_nothing_to_assemble(workdir, tmp_path):
    with pytest.raises(DataError, match=r"structures: no \*.npz files"):
        assemble("bn", tmp_path, tmp_path / "bn")
    with pytest.raises(DataError, match="no recipe for data set 'nb'; there are recipes for: bn"):
        assemble("nb", workdir, tmp_path / "bn")


def test_division_of_what_is_there():
    template = Template.model_validate(TEMPLATE)
    ids = [f"bn-small-{n:04d}" for n in range(16)]
    splits = divide(ids, template)
    assert {name: len(members) for name, members in splits.items()} == {"train": 10, "val": 2, "test": 4}
    assert sorted(i for members in splits.values() for i in members) == ids
    assert splits == divide(ids[::-1], template)
    with pytest.raises(DataError, match="structure 'stray': key 'id': matches none of bn-small-\\*, bn-large-\\*"):
        divide([*ids, "stray"], template)
    with pytest.raises(DataError, match="2 structures are too few: split 'test' would be empty"):
        divide(ids[:2], template)


def test_template_with_an_unknown_key(workdir):
    path = assembly.TEMPLATES / "bn.yaml"
    path.write_text(yaml.safe_dump(TEMPLATE | {"colour": "red"}))
    with pytest.raises(DataError, match=r"bn.yaml: key 'colour'"):
        read_template("bn")


def test_shipped_templates():
    assert "mos2-mini" in list_named(assembly.TEMPLATES)
    plan = read_template("mos2-mini").splits
    assert plan.shares == {"train": 50, "val": 6, "test": 28}
    folder = Path(assembly.__file__).parent / "templates"
    assert len(list(folder.glob("*.yaml"))) == len(list_named(assembly.TEMPLATES))


def test_readme_is_made_from_the_card(workdir, tmp_path):
    dataset = assemble("bn", workdir, tmp_path / "bn")
    text = (dataset.root / "README.md").read_text()
    for part in (
        "| structures | 10 |",
        "| rounding quantum | hamiltonian: 2^-20, overlap: 2^-24 |",
        "| kmesh_scf | large: 3x3x1, small: 3x3x1 |",
        "| test_large | 2 |",
        "| measured | never |",
        f"| max_eigenvalue_error_meV | {dataset.card.checks['max_eigenvalue_error_meV']} |",
        f"| hamiltonian | {sum(len(s.operators['hamiltonian'].values) for s in dataset.iterate())} |",
    ):
        assert part in text


def test_several_kinds_are_divided_each_in_its_own_proportions():
    content = TEMPLATE | {"splits": TEMPLATE["splits"] | {"more": {"large": {"train": 2, "val": 1, "test": 1}}}}
    content["splits"]["extra"] = {}
    ids = [f"bn-small-{n:04d}" for n in range(16)] + [f"bn-large-{n:04d}" for n in range(8)]
    splits = divide(ids, Template.model_validate(content))
    assert sorted(i for members in splits.values() for i in members) == sorted(ids)
    for name, small, large in (("train", 10, 4), ("val", 2, 2), ("test", 4, 2)):
        assert sum("small" in i for i in splits[name]) == small
        assert sum("large" in i for i in splits[name]) == large


MOLECULE_LACKS = ("fermi_level", "smearing_width", "kmesh_scf", "kmesh_ft")


def test_record_of_a_molecule(workdir):
    path = workdir / "structures/bn-small-0003.npz"
    change_record(path, **dict.fromkeys(MOLECULE_LACKS))
    with pytest.raises(DataError, match="key 'fermi_level': missing"):
        read_record(path)
    change_record(path, pbc=[False] * 3, energy_unit="Hartree", group="parent", density=np.load(path)["overlap"])
    record = read_record(path)
    assert list(record.sample.operators) == ["hamiltonian", "overlap", "density"]
    assert (record.sample.info.energy_unit, record.sample.info.group) == ("Hartree", "parent")
    assert (record.sample.info.kmesh, record.sample.info.smearing, record.kmesh_ft) == (None, None, None)


def test_energies_of_molecules_are_compared_in_meV_and_all(workdir):
    path = workdir / "structures/bn-small-0003.npz"
    change_record(path, pbc=[False] * 3, energy_unit="Hartree", **dict.fromkeys(MOLECULE_LACKS))
    record = read_record(path)
    record.eigenvalues[0, -1] += 1e-6
    assert band_error(record.sample, record)[0] == pytest.approx(0.0272114, rel=1e-3)
