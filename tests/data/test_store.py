"""The Parquet store: what is written comes back to the bit, and every kind of damage is one clear error."""

import json
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slembench.core.errors import DataError
from slembench.data.store import METADATA_KEY, Header, SampleStore, round_values, size_report, write_samples


@pytest.fixture
def samples(crystals):
    return list(crystals.iterate(crystals.ids[:5]))


@pytest.fixture
def header(samples):
    return Header(samples[0].basis.to_dict(), "eV", "vacuum", ("hamiltonian", "overlap"))


@pytest.fixture
def stored(samples, header, tmp_path):
    write_samples(tmp_path / "a.parquet", samples, header)
    return tmp_path / "a.parquet"


def rewrite(path, row, **columns):
    """Replace cells of one row by hand, as a careless program might."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[row] |= columns
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def retype(path, **types):
    table = pq.read_table(path)
    fields = [pa.field(f.name, types.get(f.name, f.type)) for f in table.schema if types.get(f.name) != "drop"]
    schema = pa.schema(fields, metadata=table.schema.metadata)
    pq.write_table(table.select(schema.names).cast(schema), path)


def test_samples_come_back_to_the_bit(samples, stored):
    store = SampleStore([stored])
    assert store.ids == [sample.id for sample in samples]
    for sample in samples:
        back = store.sample(sample.id)
        assert back.info == sample.info
        assert back.basis.shells == sample.basis.shells
        for key in ("numbers", "positions", "pbc"):
            np.testing.assert_array_equal(getattr(back.atoms, key), getattr(sample.atoms, key))
        np.testing.assert_array_equal(back.atoms.cell.array, sample.atoms.cell.array)
        for name, operator in sample.operators.items():
            assert back.operators[name].values.dtype == np.float64
            np.testing.assert_array_equal(back.operators[name].values, operator.values)
            np.testing.assert_array_equal(back.operators[name].pair_index, operator.pair_index)
            np.testing.assert_array_equal(back.operators[name].pair_shift, operator.pair_shift)


def test_scalars_that_are_absent_stay_absent(samples, header, tmp_path):
    info = replace(samples[0].info, kmesh=(3, 3, 1), energy=-1.25, fermi_level=None, electrons=None, smearing=0.05)
    write_samples(tmp_path / "a.parquet", [replace(samples[0], info=info)], header)
    assert SampleStore([tmp_path / "a.parquet"]).sample(samples[0].id).info == info


def test_values_are_a_view_of_the_memory_map(stored):
    values = SampleStore([stored]).sample("s01").operators["overlap"].values
    assert not values.flags.owndata
    assert not values.flags.writeable


def test_both_directions_are_stored_as_one_triangle(samples, header, tmp_path):
    full = {name: operator.complete() for name, operator in samples[0].operators.items()}
    write_samples(tmp_path / "a.parquet", [replace(samples[0], operators=full)], header)
    back = SampleStore([tmp_path / "a.parquet"]).sample(samples[0].id).operators["overlap"]
    assert back.in_triangle().all()
    assert back.complete().n_pairs == full["overlap"].n_pairs
    again = back.align(full["overlap"].pair_index, full["overlap"].pair_shift)[0]
    assert again.n_pairs == full["overlap"].n_pairs


def test_several_files_are_one_store(samples, header, tmp_path):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_samples(paths[0], samples[:2], header)
    write_samples(paths[1], samples[2:], header)
    store = SampleStore(paths)
    assert len(store) == 5
    assert [store.file_of(sample.id) for sample in samples] == [str(paths[0])] * 2 + [str(paths[1])] * 3
    np.testing.assert_array_equal(store.sample("s04").atoms.positions, samples[4].atoms.positions)


def test_files_of_one_store_must_agree(samples, header, tmp_path):
    write_samples(tmp_path / "a.parquet", samples[:2], header)
    write_samples(tmp_path / "b.parquet", samples[2:], replace(header, rounding={"overlap": 0.5}))
    with pytest.raises(DataError, match=r"b.parquet: header differs from that of .*a.parquet"):
        SampleStore([tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_rounding_is_exact_and_bounded(samples, header, tmp_path):
    write_samples(tmp_path / "a.parquet", samples, replace(header, rounding={"hamiltonian": 2.0**-10}))
    back = SampleStore([tmp_path / "a.parquet"]).sample("s02").operators
    values = back["hamiltonian"].values
    assert np.array_equal(values * 2**10, np.round(values * 2**10))
    error = np.abs(values - samples[2].operators["hamiltonian"].values)
    assert 2.0**-13 < error.max() <= 2.0**-11
    np.testing.assert_array_equal(back["overlap"].values, samples[2].operators["overlap"].values)


@pytest.mark.parametrize("quantum", [0.3, 0.0, -0.5])
def test_rounding_to_no_power_of_two(quantum):
    with pytest.raises(DataError, match="is not a power of two"):
        round_values(np.ones(3), quantum)


def test_rounded_values_take_few_bytes(tmp_path, samples, header):
    rng = np.random.default_rng(0)
    values = samples[0].operators["overlap"].values
    many = [
        replace(samples[0], id=f"x{k}", operators={"overlap": samples[0].operators["overlap"].with_values(new)})
        for k, new in enumerate(rng.normal(0, 0.1, (400, len(values))))
    ]
    sizes = []
    for rounding in ({}, {"overlap": 2.0**-16}):
        path = tmp_path / f"{len(rounding)}.parquet"
        write_samples(path, many, replace(header, operators=("overlap",), rounding=rounding))
        size, count = size_report(path)["overlap"]
        assert count == 400 * len(values)
        sizes.append(size / count)
    assert sizes[0] > 6.5
    assert sizes[1] < 2.3


def test_writing_refuses_what_does_not_belong(samples, header, tmp_path):
    target = tmp_path / "a.parquet"
    other_unit = replace(samples[1], info=replace(samples[1].info, energy_unit="Hartree"))
    shorter = samples[1].operators["overlap"].take(np.arange(3))
    for batch, message in (
        ([samples[0], samples[0]], "structure 's00': key 'id': a structure of this id came before"),
        ([samples[0], other_unit], "structure 's01': key 'energy_unit': 'Hartree', the file's is 'eV'"),
        ([replace(samples[1], operators={"overlap": shorter})], "key 'hamiltonian': operator is missing"),
        (
            [replace(samples[1], operators=samples[1].operators | {"overlap": shorter})],
            "key 'overlap': is on other pairs",
        ),
    ):
        with pytest.raises(DataError) as caught:
            write_samples(target, batch, header)
        assert message in str(caught.value)
        assert not list(tmp_path.iterdir()), "something half-written remains"


def test_unknown_id(stored):
    with pytest.raises(DataError, match="no structure 'nobody'; it holds 5 others"):
        SampleStore([stored]).sample("nobody")


def test_nan_names_file_structure_key_and_block(samples, stored):
    values = samples[2].operators["hamiltonian"].values.copy()
    values[0] = np.nan
    rewrite(stored, 2, hamiltonian=values)
    store = SampleStore([stored])
    store.sample("s01")
    with pytest.raises(DataError) as caught:
        store.sample("s02")
    assert str(caught.value).startswith(
        f"{stored}: structure 's02': key 'hamiltonian': 1 of {len(values)} values are NaN"
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"numbers": [5, 26]}, "key 'numbers': element Fe is not in the basis"),
        ({"numbers": [5, 500]}, "key 'numbers': element 500 is not in the basis"),
        ({"positions": [0.0] * 5}, "key 'positions': has 5 values, must have 6"),
        ({"cell": [0.0] * 8}, "key 'cell': has 8 values, must have 9"),
        ({"pbc": [True]}, "key 'pbc': has 1 values, must have 3"),
        ({"pair_j": [0]}, "key 'pair_j': has 1 values, must have"),
        ({"overlap": [1.0, 2.0]}, "key 'overlap': has 2 values, must have"),
        ({"pair_shift": [0, 0]}, "key 'pair_shift': has 2 values, must have"),
        ({"hamiltonian": None}, "key 'hamiltonian': missing values"),
    ],
)
def test_wrong_contents_name_structure_and_key(stored, columns, message):
    rewrite(stored, 3, **columns)
    with pytest.raises(DataError) as caught:
        SampleStore([stored]).sample("s03")
    assert str(caught.value).startswith(f"{stored}: structure 's03': ")
    assert message in str(caught.value)


def test_pair_of_an_atom_that_is_not_there(samples, stored):
    pairs = samples[3].operators["overlap"].pair_index[:, 0].copy()
    pairs[-1] = 2
    rewrite(stored, 3, pair_i=pairs)
    with pytest.raises(DataError, match=r"structure 's03': key 'pair_i': atom numbers must lie in 0..1"):
        SampleStore([stored]).sample("s03")


def test_duplicate_id(stored):
    rewrite(stored, 3, id="s01")
    with pytest.raises(DataError, match=r"a.parquet: structure 's01': key 'id': occurs more than once"):
        SampleStore([stored])


def test_float32_column_is_refused(stored):
    retype(stored, hamiltonian=pa.list_(pa.float32()))
    with pytest.raises(DataError, match=r"a.parquet: key 'hamiltonian': type list<.*float>, must be list<.*double>"):
        SampleStore([stored])


def test_missing_column(stored):
    retype(stored, overlap="drop")
    with pytest.raises(DataError, match=r"a.parquet: key 'overlap': column is missing"):
        SampleStore([stored])


@pytest.mark.parametrize("keep", [0, 100, 0.5, -4])
def test_truncated_file(stored, keep):
    content = stored.read_bytes()
    stored.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(DataError, match=r"a.parquet: not readable as Parquet"):
        SampleStore([stored])


def test_damaged_pages(stored):
    content = bytearray(stored.read_bytes())
    content[40:400] = bytes(360)
    stored.write_bytes(content)
    with pytest.raises(DataError, match=r"a.parquet: not readable as Parquet \(damaged\)"):
        SampleStore([stored])


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none.parquet: not readable as Parquet"):
        SampleStore([tmp_path / "none.parquet"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy_unit": "ev"}, "key 'energy_unit': 'ev' is not one of eV, Hartree"),
        ({"length_unit": "Bohr"}, "key 'length_unit': 'Bohr' is not Angstrom"),
        ({"version": 2}, "key 'version': slembench-samples 2, this program reads slembench-samples 1"),
        ({"colour": "red"}, "key 'slembench' of the metadata is missing or malformed"),
        (None, "key 'slembench' of the metadata is missing or malformed"),
    ],
)
def test_wrong_header(stored, header, change, message):
    table = pq.read_table(stored)
    metadata = None if change is None else {METADATA_KEY: json.dumps(asdict(header) | change).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), stored)
    with pytest.raises(DataError) as caught:
        SampleStore([stored])
    assert str(caught.value).startswith(f"{stored}: ")
    assert message in str(caught.value)


def test_rewritten_file_is_not_served_from_the_cache(samples, header, stored):
    assert SampleStore([stored]).ids[0] == "s00"
    write_samples(stored, samples[::-1], header)
    assert SampleStore([stored]).ids[0] == "s04"


def test_store_without_files():
    with pytest.raises(DataError, match="at least one Parquet file"):
        SampleStore([])
