"""Large structures: chunks and joined parts equal the whole prediction, for SLEM and LEM, crystal and molecule."""

import json
import os
import signal
import threading
import time

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk

from slembench.core.errors import ConfigError, PredictionError
from slembench.data.graph import build_graph
from slembench.inference.chunked import features
from slembench.inference.partition import cut, halo, make_part
from slembench.inference.predict import predict_blocks
from slembench.inference.structure import StructureRequest, predict_structure
from slembench.models.lem.model import Lem
from slembench.models.slem.model import Slem
from slembench.operators.blocks import lookup, pair_keys
from slembench.operators.orbitals import Basis
from slembench.predictions import read_predictions
from slembench.training.checkpoint import Checkpoint, load_model, model_description, save_checkpoint
from slembench.training.numerics import numerics

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}


def save_model(folder, kind, dtype, n_layers=2):
    """Checkpoint of a small model of Si and O with generic weights."""
    torch.manual_seed(0)
    config = kind.Config(
        irreps_hidden="6x0e+2x0o+4x1o+2x1e+4x2e", n_layers=n_layers, init_multiplicity=4, latent_dim=8,
        latent_channels=(8,), radial_channels=8, overlap_channels=(8,),
    )  # fmt: skip
    model = kind(config, Basis.parse({"Si": "1s1p", "O": "1s"}), {14: 3.2, 8: 2.6}, ("hamiltonian", "overlap"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.set_average_neighbours(8.0)
    model.energy_unit = "eV"
    model.to(dtype)
    description = model_description(model, model.name)
    return save_checkpoint(folder, Checkpoint({"step": 0}, description, model.state_dict()))


def crystal(repeat=(4, 3, 2)):
    """Rattled silicon with a tenth of oxygen, its atoms in no spatial order, some outside the cell."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(repeat)
    rng = np.random.default_rng(1)
    atoms.rattle(0.1, seed=3)
    atoms.numbers[rng.random(len(atoms)) < 0.1] = 8
    atoms = atoms[rng.permutation(len(atoms))]
    atoms.positions[:5] += atoms.cell.array[0]
    return atoms


def molecule(repeat=(5, 2, 2)):
    """Such atoms without a cell."""
    atoms = crystal(repeat)
    return ase.Atoms(atoms.numbers, atoms.get_positions(wrap=True))


def difference(found, expected):
    """Largest difference relative to the largest value, after both directions are completed."""
    aligned, missing, extra = found.complete().align(expected.pair_index, expected.pair_shift)
    assert not len(missing)
    assert not len(extra)
    return np.abs(aligned.values - expected.values).max() / np.abs(expected.values).max()


def whole(checkpoint, atoms):
    model = load_model(checkpoint)
    graph = build_graph(atoms, model.cutoffs, model.layout, dtype=torch.float64)
    with numerics("cpu", uses_native_kernels=model.uses_native_kernels):
        return predict_blocks(model, graph)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", [Slem, Lem])
@pytest.mark.parametrize("make", [crystal, molecule])
def test_joined_parts_equal_the_whole(kind, dtype, make, tmp_path):
    checkpoint, atoms = save_model(tmp_path / "model", kind, dtype), make()
    expected = whole(checkpoint, atoms)
    job = StructureRequest(checkpoint, "x", atoms, "hash", max_pairs=200)
    for parts in (1, 5):
        cost = predict_structure(job, tmp_path / "p.h5", parts=parts)
        with read_predictions(tmp_path / "p.h5") as found:
            assert (found.attrs.energy_unit, found.attrs.dataset, list(found.ids)) == ("eV", "x", ["x"])
            blocks = found["x"]
        assert cost.pairs == blocks["overlap"].n_pairs
        assert blocks["overlap"].in_triangle().all()
        for operator, matrix in expected.items():
            assert difference(blocks[operator], matrix) < TOLERANCE[dtype]
    assert not (tmp_path / "p.h5.parts").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Slem, Lem])
@pytest.mark.parametrize("make", [lambda: crystal((5, 5, 5)), lambda: molecule((10, 5, 3))])
def test_a_thousand_atoms_in_two_workers(kind, make, tmp_path):
    atoms = make()
    assert len(atoms) >= 1000
    for dtype in (torch.float64, torch.float32):
        checkpoint = save_model(tmp_path / "model", kind, dtype)
        expected = whole(checkpoint, atoms)
        predict_structure(StructureRequest(checkpoint, "x", atoms, "h"), tmp_path / "p.h5", parts=4, workers=2)
        with read_predictions(tmp_path / "p.h5") as found:
            for operator, matrix in found["x"].items():
                assert difference(matrix, expected[operator]) < TOLERANCE[dtype]


@pytest.mark.parametrize(("kind", "too_much"), [(Slem, 3.2), (Lem, 4.5)])
def test_the_halo_is_as_wide_as_it_must_be(kind, too_much, tmp_path):
    """Pairs that begin in a part are right with its halo, and wrong with a narrower one."""
    model = load_model(save_model(tmp_path / "model", kind, torch.float64))
    atoms = crystal((6, 2, 2))
    graph = build_graph(atoms, model.cutoffs, model.layout, dtype=torch.float64)
    keys = pair_keys(graph.pair_index.numpy().T, graph.pair_shift.numpy())
    field = model.receptive_field
    with torch.no_grad():
        expected = model(graph)["hamiltonian"].pair
        errors = []
        for less in (0.0, too_much):
            narrow = type(field)(field.onsite - less, field.pair - less, field.strict, field.centred)
            model.__class__ = type("Narrow", (kind,), {"receptive_field": narrow})
            part = make_part(model, atoms, cut(atoms, 6)[0])
            begins = np.flatnonzero(np.isin(part.atoms[part.graph.pair_index[0].numpy()], part.own))
            found = model(part.graph)["hamiltonian"].pair[begins]
            index, shift = part.atoms[part.graph.pair_index.numpy().T[begins]], part.graph.pair_shift.numpy()[begins]
            errors.append(float((found - expected[lookup(keys, pair_keys(index, shift))]).abs().max()))
    assert errors[0] < 1e-12
    assert errors[1] > 1e-6


def test_chunks_hold_any_number_of_pairs(tmp_path):
    """Chunks of one atom, and atoms without any neighbour."""
    model = load_model(save_model(tmp_path / "model", Slem, torch.float64))
    atoms = molecule()[:30] + ase.Atoms("SiO", positions=[[90, 0, 0], [0, 90, 0]])
    graph = build_graph(atoms, model.cutoffs, model.layout, dtype=torch.float64)
    with torch.no_grad():
        expected = model(graph)
        for size in (1, 17, 1000):
            for name, value in features(model, graph, size).items():
                assert torch.allclose(value.onsite, expected[name].onsite, atol=1e-12)
                assert torch.allclose(value.pair, expected[name].pair, atol=1e-12)


def test_parts_are_even_and_cover_all_atoms():
    atoms = crystal((8, 2, 2))
    for parts in (1, 3, 7):
        own = cut(atoms, parts)
        assert sorted(np.concatenate(own).tolist()) == list(range(len(atoms)))
        assert max(map(len, own)) - min(map(len, own)) <= 2
    with pytest.raises(ConfigError, match="0 parts"):
        cut(atoms, 0)
    with pytest.raises(ConfigError, match=f"{len(atoms) + 1} parts"):
        cut(atoms, len(atoms) + 1)


def test_the_halo_is_what_the_model_declares(tmp_path):
    for n_layers in (1, 3):
        assert halo(load_model(save_model(tmp_path / "a", Slem, torch.float64, n_layers))) == pytest.approx(6.4)
        lem = halo(load_model(save_model(tmp_path / "b", Lem, torch.float64, n_layers)))
        assert lem == pytest.approx((n_layers + 1) * 3.2)


@pytest.mark.slow
def test_finished_parts_are_kept_when_a_worker_is_killed(tmp_path):
    checkpoint, atoms = save_model(tmp_path / "model", Slem, torch.float64), crystal()
    job, path = StructureRequest(checkpoint, "x", atoms, "hash"), tmp_path / "p.h5"
    folder = tmp_path / "p.h5.parts"
    killed = threading.Thread(target=_kill_a_worker, args=(folder,), daemon=True)
    killed.start()
    with pytest.raises(PredictionError, match=r"killed or died .*; \d+ of 40 parts are finished and kept"):
        predict_structure(job, path, parts=40, workers=2)
    killed.join()
    kept = {file: file.stat().st_mtime_ns for file in folder.glob("part-*.h5")}
    assert 2 <= len(kept) < 40
    assert not path.exists()
    with pytest.raises(ConfigError, match="parts of another prediction"):
        predict_structure(job, path, parts=41)
    cost = predict_structure(job, path, parts=40)
    assert cost.parts == 40 - len(kept)
    expected = whole(checkpoint, atoms)
    with read_predictions(path) as found:
        assert difference(found["x"]["hamiltonian"], expected["hamiltonian"]) < 1e-12


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    checkpoint, atoms = save_model(tmp_path / "model", Slem, torch.float64), crystal()
    folder = tmp_path / "p.h5.parts"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is in the way of the parts"):
        predict_structure(StructureRequest(checkpoint, "x", atoms, "hash"), tmp_path / "p.h5", parts=2)
    assert (folder / "notes.txt").read_text() == "mine"


def _kill_a_worker(folder):
    """Kill one child process as soon as two parts are finished."""
    import psutil

    for _ in range(3000):
        if len(list(folder.glob("part-*.h5"))) >= 2:
            workers = [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
            os.kill(workers[0].pid, signal.SIGKILL)
            return
        time.sleep(0.02)


def test_what_cannot_be_predicted_is_explained(tmp_path):
    checkpoint = save_model(tmp_path / "model", Slem, torch.float64)
    with pytest.raises(ConfigError, match="structure 'x' has C; model slem was trained on O, Si"):
        predict_structure(StructureRequest(checkpoint, "x", ase.Atoms("C"), "h"), tmp_path / "p.h5")
    about = json.loads((checkpoint / "model.json").read_text())
    (checkpoint / "model.json").write_text(json.dumps(about | {"energy_unit": None}))
    with pytest.raises(ConfigError, match="does not say its energy unit"):
        predict_structure(StructureRequest(checkpoint, "x", ase.Atoms("Si"), "h"), tmp_path / "p.h5")
    predict_structure(StructureRequest(checkpoint, "x", ase.Atoms("Si"), "h", "Hartree"), tmp_path / "p.h5")
    with read_predictions(tmp_path / "p.h5") as found:
        assert found.attrs.energy_unit == "Hartree"
        assert found["x"]["overlap"].n_pairs == 1
