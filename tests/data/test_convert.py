"""Conversion between formats: the chain through all that are written, data sets, and what is refused."""

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.convert import Source, convert, fit_to_card
from slembench.data.formats import FORMATS, read_samples, write_samples
from slembench.operators.units import HARTREE_EV


def same(found, wanted, factor=1.0, ulp=0):
    """The same structure; Hamiltonian times a factor."""
    np.testing.assert_array_equal(found.atoms.positions, wanted.atoms.positions)
    np.testing.assert_array_equal(found.atoms.numbers, wanted.atoms.numbers)
    for key, operator in wanted.operators.items():
        full = operator.complete()
        both = found.operators[key].complete()
        aligned, _, extra = both.align(full.pair_index, full.pair_shift)
        values = full.values * (factor if key == "hamiltonian" else 1.0)
        np.testing.assert_array_max_ulp(aligned.values, values, ulp)
        assert not np.any(both.take(extra).values)


@pytest.fixture
def grouped(crystals, tmp_path):
    """Three crystals in the new DeepH layout."""
    samples = {name: crystals.sample(name) for name in crystals.ids[:3]}
    write_samples(samples.values(), tmp_path / "deeph-new", "deeph-new")
    return samples


def test_chain_through_the_formats_to_the_bit(grouped, tmp_path):
    chain = ["deeph-legacy", "deeptb", "parquet", "deeptb", "deeph-new"]
    path = tmp_path / "deeph-new"
    for number, target in enumerate(chain):
        out = tmp_path / f"{number}.{target}"
        assert convert(Source(path), target, out) == []
        path = out
    for back in read_samples(path):
        same(back, grouped[back.id])


def test_molecules_in_hartree_come_back_within_two_ulp(molecules, tmp_path):
    samples = {name: molecules.sample(name) for name in molecules.ids[:3]}
    write_samples(samples.values(), tmp_path / "a", "deeptb")
    convert(Source(tmp_path / "a"), "parquet", tmp_path / "b.parquet")
    for back in read_samples(tmp_path / "b.parquet"):
        assert back.info.energy_unit == "eV"
        same(back, samples[back.id], HARTREE_EV, ulp=2)


def test_numbering_and_what_is_left_out(tmp_path, qh9_file):
    source = Source(qh9_file, options={"overlap": True})
    assert convert(source, "qh9", tmp_path / "again.db") == ["overlap"]
    assert source.count == 4
    for back, sample in zip(read_samples(tmp_path / "again.db"), read_samples(qh9_file), strict=True):
        assert back.id == sample.id
        same(back, sample)
    convert(Source(qh9_file, renumber=True), "deeph-new", tmp_path / "numbered")
    assert sorted(path.name for path in (tmp_path / "numbered").iterdir()) == ["0", "1", "2", "3"]


@pytest.fixture
def qh9_file(tmp_path):
    """A QH9 file of four molecules with made-up Hamiltonians."""
    pytest.importorskip("pyscf")
    import ase.build

    from slembench.data import Sample, SampleInfo
    from slembench.data.formats.qh9.molecule import BASIS
    from slembench.operators.blocks import BlockMatrix

    samples = []
    for number, name in enumerate(("H2O", "CH4", "HCN", "HF")):
        atoms = ase.build.molecule(name)
        size = int(BASIS.sizes(atoms.numbers).sum())
        matrix = np.random.default_rng(number).normal(size=(size, size))
        blocks = BlockMatrix.from_dense(BASIS, atoms.numbers, matrix + matrix.T)
        samples.append(Sample(str(10 * number), atoms, BASIS, {"hamiltonian": blocks}, SampleInfo("Hartree")))
    write_samples(samples, tmp_path / "QH9.db", "qh9")
    return tmp_path / "QH9.db"


def test_to_a_data_set(monkeypatch, crystals, molecules, grouped, tmp_path):
    """In the card's unit, with its shells, on common pairs; another data set's structures do not fit."""
    monkeypatch.setenv("SLEMBENCH_DATA", str(crystals.root.parent))
    convert(Source(tmp_path / "deeph-new"), crystals.name, tmp_path / "out.parquet")
    for back in read_samples(tmp_path / "out.parquet"):
        same(back, grouped[back.id])
        assert back.info.energy_zero == crystals.card.energy_zero
        assert back.basis.shells == crystals.basis.shells
    card = molecules.card
    sample = fit_to_card(molecules.sample("s00"), card.model_copy(update={"units": crystals.card.units}), "x")
    same(sample, molecules.sample("s00"), HARTREE_EV, ulp=2)
    assert sample.info.energy_unit == "eV"
    with pytest.raises(DataError, match="x: structure 's00': key 'density': missing, and data set .* needs it"):
        fit_to_card(crystals.sample("s00"), card, "x")
    with pytest.raises(DataError, match="key 'basis': {'B': '2s1p'}, data set .* has {'N': '1s1p1d'}"):
        fit_to_card(molecules.sample("s00"), card.model_copy(update={"basis": {"N": "1s1p1d"}}), "x")


def test_refusals(grouped, tmp_path):
    source = tmp_path / "deeph-new"
    with pytest.raises(DataError, match="deeph-new: exists already"):
        convert(Source(source), "deeptb", source)
    with pytest.raises(DataError, match="unknown target 'xyz'; formats that are written: deeph-new, .*; data sets: "):
        convert(Source(source), "xyz", tmp_path / "out")
    with pytest.raises(DataError, match=r"gan is an official set: run `slembench data get gan --from .*`"):
        convert(Source(source), "gan", tmp_path / "out")
    with pytest.raises(DataError, match="format abacus can be read, not written"):
        convert(Source(source), "abacus", tmp_path / "out")
    with pytest.raises(DataError, match="no such file or folder"):
        convert(Source(tmp_path / "nothing"), "deeptb", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_shells_of_one_element_have_to_agree(tmp_path, crystals, molecules, qh9_file):
    nitrogen = [crystals.sample("s00"), next(s for s in read_samples(qh9_file) if 7 in s.atoms.numbers)]
    with pytest.raises(DataError, match="key 'basis': {'N': '3s2p1d'}, another structure has {'N': '1s1p1d'}"):
        FORMATS["parquet"].write(nitrogen, tmp_path / "out.parquet")
    with pytest.raises(DataError, match="no structures to write"):
        FORMATS["parquet"].write([], tmp_path / "out.parquet")


@pytest.mark.real_files
@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("qh9_lmdb", "parquet"),
        ("deeptb/CH4_lmdb", "deeph-new"),
        ("deeph_new/water", "deeptb"),
        ("deeph_pairs/MoTe2_legacy", "deeptb"),
        ("abacus/MoS2_raw", "parquet"),
        ("siesta/Si_raw", "deeph-legacy"),
        ("siesta/H2O_dimer", "parquet"),
    ],
)
def test_real_files(real_files, tmp_path, path, target):
    out = tmp_path / ("out.parquet" if target == "parquet" else "out")
    source = Source(real_files / path)
    assert convert(source, target, out) == []
    wanted = {sample.id: sample for sample in source}
    for back in read_samples(out, target):
        sample = wanted.pop(back.id)
        factor = 1.0 if back.info.energy_unit == sample.info.energy_unit else HARTREE_EV
        np.testing.assert_array_equal(np.sort(back.atoms.numbers), np.sort(sample.atoms.numbers))
        for key, operator in sample.operators.items():
            total = np.abs(operator.complete().values).sum() * (factor if key == "hamiltonian" else 1.0)
            assert np.abs(back.operators[key].complete().values).sum() == pytest.approx(total, rel=1e-9)
    assert not wanted
