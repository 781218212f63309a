"""Self-consistent runs of a small molecule against plain PySCF."""

import json

import ase
import numpy as np
import pytest

from slembench.core.errors import DataError, PredictionError
from slembench.data import Sample, SampleInfo
from slembench.data.card import ScfProtocol
from slembench.data.pyscf import canonical, converge, one_shot_energy, pyscf_molecule
from slembench.evaluation import evaluate
from slembench.evaluation.scf import error_level, scf_summary, scf_table
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

pyscf = pytest.importorskip("pyscf")
from pyscf import dft  # noqa: E402

PROTOCOL = ScfProtocol(code="PySCF", functional="b3lyp5", basis="def2-svp", grid_level=1)
WATER = ase.Atoms("OHH", positions=[[0, 0, 0], [0, 0.76, 0.59], [0.1, -0.76, 0.59]])


@pytest.fixture(scope="module")
def solved():
    """Plain PySCF: solver, molecule, canonical H, S, D."""
    molecule = pyscf_molecule(WATER, "def2-svp")
    solver = dft.RKS(molecule, xc="b3lyp5")
    solver.grids.level = 1
    cycles = []
    solver.callback = lambda state: cycles.append(state["cycle"])
    solver.kernel(dm0=solver.get_init_guess(molecule, "minao"))
    d = solver.make_rdm1()
    matrices = {"hamiltonian": solver.get_fock(dm=d), "overlap": solver.get_ovlp(), "density": d}
    return solver, 1 + max(cycles), {name: canonical(matrix, molecule) for name, matrix in matrices.items()}


def test_one_shot_energy_of_the_converged_density(solved):
    solver, _, matrices = solved
    energy, fock = one_shot_energy(WATER, PROTOCOL, matrices["density"])
    assert energy == pytest.approx(solver.e_tot, abs=1e-8)
    np.testing.assert_allclose(fock, matrices["hamiltonian"], atol=1e-7)


def test_run_from_the_guess(solved):
    solver, cycles, matrices = solved
    run = converge(WATER, PROTOCOL, matrices["hamiltonian"])
    assert run.iterations == cycles == len(run.fock_errors)
    assert run.converged
    assert run.energy == pytest.approx(solver.e_tot, abs=1e-9)
    guess = canonical(solver.get_init_guess(solver.mol, "minao"), solver.mol)
    assert run.first_energy == pytest.approx(one_shot_energy(WATER, PROTOCOL, guess)[0], abs=1e-8)
    assert run.first_energy > run.energy + 0.01
    assert run.fock_errors[0] > 1e-3 > 1e-5 > run.fock_errors[-1]


def test_run_from_the_answer_is_short(solved):
    _, cycles, matrices = solved
    run = converge(WATER, PROTOCOL, matrices["hamiltonian"], matrices["density"])
    assert run.iterations <= 2 < cycles


def test_error_level():
    errors = [1e-1, 1e-2, 1e-3, 1e-4]
    assert [error_level(errors, level) for level in (1.0, 5e-3, 2e-4, 1e-9)] == [1, 3, 4, 4]


@pytest.fixture
def dataset(solved, make_dataset, tmp_path, monkeypatch):
    _, _, matrices = solved
    basis = Basis.parse({"O": "3s2p1d", "H": "2s1p"})
    operators = {
        name: BlockMatrix.from_dense(basis, WATER.numbers, m).hermitise().triangle() for name, m in matrices.items()
    }
    info = SampleInfo("Hartree", "vacuum", 10.0, energy=float(solved[0].e_tot), group="w")
    samples = [Sample("w", WATER, basis, operators, info)]
    dataset = make_dataset(tmp_path / "waters", samples, {"O": 20.0, "H": 20.0}, splits={"train": [], "test": ["w"]})
    monkeypatch.setattr(dataset, "card", dataset.card.model_copy(update={"scf": PROTOCOL}))
    return dataset


def given(dataset, noise, operators):
    from slembench.predictions import PredictionHeader

    class Given:
        ids = dataset.split("test")
        attrs = PredictionHeader(dataset.name, dataset.fingerprint, "test", "given", dataset.basis, "Hartree")

        def __getitem__(self, name):
            rng = np.random.default_rng(0)
            own = dataset.sample(name).operators
            return {
                op: own[op].with_values(own[op].values + noise * rng.normal(size=len(own[op].values)))
                for op in operators
            }

    Given.operators = operators
    return Given()


def test_scores_of_predictions(dataset, solved, tmp_path):
    _, cycles, _ = solved
    source = given(dataset, 3e-3, ("hamiltonian", "density"))
    result = evaluate(dataset, source, scf=True, cache=tmp_path / "cache")
    scores = result.scores
    for op in ("hamiltonian", "density"):
        assert scores[f"{op}.scf_ratio_optimal"].value == pytest.approx(1 / cycles)
        iterations = result.per_structure[f"{op}.scf_iterations"].iloc[0]
        assert scores[f"{op}.scf_ratio"].value == pytest.approx(iterations / cycles)
        assert 0 < scores[f"{op}.scf_error_level"].value <= 1
    energy, unit = scores["hamiltonian.energy_error"]
    assert unit == "Hartree"
    assert 1e-7 < energy < scores["hamiltonian.energy_error_guess"].value
    files = list((tmp_path / "cache" / "scf").glob("*.json"))
    assert len(files) == 3  # guess, H, D
    for file in files:  # a stored run is not made again
        content = json.loads(file.read_text())
        file.write_text(json.dumps(content | {"iterations": 2 * content["iterations"]}))
    again = evaluate(dataset, source, scf=True, cache=tmp_path / "cache").scores
    assert again["hamiltonian.scf_ratio_optimal"].value == pytest.approx(0.5 / cycles)


def test_a_run_that_does_not_converge_has_no_ratio(dataset, monkeypatch):
    short = dataset.card.model_copy(update={"scf": PROTOCOL.model_copy(update={"max_cycles": 2})})
    monkeypatch.setattr(dataset, "card", short)
    result = evaluate(dataset, given(dataset, 3e-3, ("hamiltonian",)), scf=True)
    assert "hamiltonian.scf_ratio" not in result.scores
    assert result.unavailable["hamiltonian.scf_ratio"] == "structure 'w' has no value"
    assert "hamiltonian.energy_error" in result.scores


def test_not_asked_for(dataset):
    result = evaluate(dataset, given(dataset, 3e-3, ("hamiltonian",)))
    assert result.unavailable["hamiltonian.scf_ratio"] == "not asked for (--scf)"


def test_table_of_several_predictions(dataset, solved, tmp_path, monkeypatch):
    _, cycles, _ = solved
    sources = {"rough": given(dataset, 3e-3, ("hamiltonian",)), "exact": given(dataset, 0.0, ("density",))}
    table = scf_table(dataset, sources, ["w"], tmp_path)
    assert table[["id", "model", "operator"]].to_numpy().tolist() == [
        ["w", "rough", "hamiltonian"],
        ["w", "exact", "density"],
    ]
    assert (table["scf_iterations_guess"] == cycles).all()
    summary = scf_summary(table).set_index("model")
    assert summary.loc["exact", "scf_ratio"] < summary.loc["rough", "scf_ratio"] <= 1
    assert summary.loc["exact", "energy_error"] == pytest.approx(0, abs=1e-7)
    assert summary.loc["rough", ["molecules", "converged"]].tolist() == [1, 1]
    with pytest.raises(PredictionError, match="hold overlap; needed: H or D"):
        scf_table(dataset, {"s": given(dataset, 0.0, ("overlap",))}, ["w"], None)
    monkeypatch.setattr(dataset, "card", dataset.card.model_copy(update={"scf": None}))
    with pytest.raises(DataError, match="no protocol of self-consistent runs"):
        scf_table(dataset, sources, ["w"], None)
