from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from typer.testing import CliRunner

from slembench.cli import app
from slembench.cli.predict import read_structure
from slembench.core.errors import DataError
from slembench.predictions import read_predictions

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests/models/slem/fixtures/dptb_slem_silicon.pth"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "imported"
    result = CliRunner().invoke(app, ["models", "import", str(FIXTURE), "--from", "deeptb", "--out", str(folder)])
    assert result.exit_code == 0, result.stderr
    return folder


def command(*arguments):
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_any_file_that_ase_reads(checkpoint, tmp_path):
    crystal = bulk("Si", "diamond", 5.43, cubic=True)
    crystal.rattle(0.05)
    for name in ("crystal.cif", "POSCAR", "crystal.xyz"):
        ase.io.write(tmp_path / name, crystal)
        code, out, err = command(tmp_path / name, "--checkpoint", checkpoint, "--out", tmp_path / "p.h5")
        assert code == 0, err
        assert "8 atoms" in err
        assert "halo of 10.0 Angstrom" in err
        with read_predictions(out.strip()) as found:
            assert set(found.operators) == {"hamiltonian", "overlap"}
            assert found.attrs.energy_unit == "eV"
            assert found[Path(name).stem]["hamiltonian"].n_pairs > 8
    cluster = bulk("Si", "diamond", 5.43, cubic=True)
    cluster.pbc = False
    ase.io.write(tmp_path / "cluster.xyz", [cluster, cluster[:3]], format="extxyz")
    code, _, err = command(
        tmp_path / "cluster.xyz", "--checkpoint", checkpoint, "--out", tmp_path / "p.h5", "--parts", "2", "--frame", "0"
    )
    assert code == 0, err
    assert "8 atoms" in err
    assert "2 parts" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/none.cif"], "none.cif: no such file"),
        (["{}/text.cif"], "ASE cannot read it"),
        (["{}/water.xyz"], "structure 'water' has H; model slem was trained on Si"),
        (["{}/water.xyz", "--frame", "3"], "frame 3: ASE cannot read it"),
        (["{}/water.xyz", "--dataset", "x"], "either a structure file or --dataset"),
        ([], "either a structure file or --dataset"),
        (["{}/water.xyz", "--energy-unit", "kcal"], "unknown unit"),
        (["{}/water.xyz", "--split", "val"], "--split has no meaning for a structure file, only for a data set"),
        (["--dataset", "x", "--parts", "1"], "--parts has no meaning for a data set, only for a structure file"),
        (["--dataset", "x", "--energy-unit", "eV"], "--energy-unit has no meaning for a data set"),
    ],
)
def test_mistakes_are_one_line(checkpoint, tmp_path, arguments, message):
    (tmp_path / "text.cif").write_text("no structure")
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    arguments = [a.format(tmp_path) for a in arguments]
    code, _, err = command(*arguments, "--checkpoint", checkpoint, "--out", tmp_path / "out" / "p.h5")
    assert code == 1
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("damage", ["position", "cell"])
def test_structure_without_sound_geometry_is_refused(tmp_path, damage):
    atoms = bulk("Si", cubic=True)
    if damage == "position":
        atoms.positions[3, 0] = np.nan
    else:
        atoms.cell[2] = 0.0
    atoms.write(tmp_path / "bad.xyz")
    with pytest.raises(DataError, match="atom 3" if damage == "position" else "no proper cell"):
        read_structure(tmp_path / "bad.xyz", "-1")


def test_unit_other_than_that_of_the_checkpoint_is_refused(tmp_path, checkpoint):
    bulk("Si", cubic=True).write(tmp_path / "si.xyz")
    code, _, error = command(
        tmp_path / "si.xyz", "--checkpoint", checkpoint, "--out", tmp_path / "si.h5", "--energy-unit", "Hartree"
    )
    assert code == 1
    assert "trained in eV; Hartree contradicts it" in error
