"""The note beside a structure in a DeepH layout: what it restores, and what is wrong with one."""

import json

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import read_samples, write_samples
from slembench.data.formats.deeph.folder import NOTE_FILE


@pytest.mark.parametrize("name", ["deeph-new", "deeph-legacy"])
def test_without_the_note_a_structure_is_what_deeph_makes_of_it(crystals, molecules, tmp_path, name):
    for sample, periodic in ((crystals.sample("s00"), [True, True, False]), (molecules.sample("s01"), [False] * 3)):
        write_samples([sample], tmp_path, name)
        folder = tmp_path / sample.id
        back = next(read_samples(folder))
        assert back.atoms.pbc.tolist() == periodic
        np.testing.assert_array_equal(back.atoms.cell.array, sample.atoms.cell.array)
        np.testing.assert_array_equal(back.atoms.numbers, sample.atoms.numbers)
        (folder / NOTE_FILE).unlink()
        plain = next(read_samples(folder))
        assert plain.atoms.pbc.all()
        assert plain.atoms.cell.array.any(axis=1).all()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("order", [0, 0], "key 'order': must number the 2 atoms from 0"),
        ("order", [0, 1, 2], "key 'order': must number the 2 atoms from 0"),
        ("order", ["0", "1"], "key 'order.0': Input should be a valid integer"),
        ("periodic", [True], "must be three words true or false"),
        ("periodic", None, "key 'periodic': Input should be a valid list"),
        ("vectors", [False, True, True], "no lattice vector along an axis that blocks are displaced along"),
        ("cell", 1, "key 'cell': unknown key"),
    ],
)
def test_wrong_notes_are_named(crystals, tmp_path, key, value, message):
    write_samples([crystals.sample("s00")], tmp_path, "deeph-new")
    file = tmp_path / "s00" / NOTE_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(DataError, match=message) as caught:
        next(read_samples(tmp_path))
    assert str(caught.value).startswith(f"{file}: structure 's00': ")
    file.write_text("{")
    with pytest.raises(DataError, match="not readable as JSON"):
        next(read_samples(tmp_path))
