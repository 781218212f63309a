"""Losses on levels against SciPy's eigensolver and finite differences; padding, degenerate levels, k-points."""

import numpy as np
import pytest
import scipy.linalg
import torch
from ase.build import mx2
from torch_geometric.data import Batch

from slembench.core.errors import ConfigError
from slembench.data.graph import build_graph
from slembench.data.pairs import scored_pairs
from slembench.nn.readout import OperatorFeatures
from slembench.operators.blocks import BlockMatrix
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import Basis
from slembench.training.config import LevelsConfig, LossConfig
from slembench.training.dense import DenseMatrices, ElementPlaces
from slembench.training.spectral_loss import LevelsLoss, levels_loss

SCALE = 2.5
CRYSTAL = Basis.parse({"S": "2s1p", "Mo": "1s1p1d"})
CUTOFFS = {42: 4.0, 16: 4.0}
ELECTRONS = 7.0
KPOINTS = np.array([[0.0, 0.0, 0.0], [0.21, -0.4, 0.1]])


def crystal(rng, operators):
    """MoS2, and random Hermitian operators on its pairs; the overlap is close to 1."""
    atoms = mx2("MoS2", vacuum=6.0)
    atoms.pbc = (True, True, False)
    index, shift = scored_pairs(atoms, CUTOFFS)
    blank = BlockMatrix.zeros(CRYSTAL, atoms.numbers, index, shift)
    made = {n: blank.with_values(0.05 * rng.normal(size=blank.values.shape)).hermitise() for n in operators}
    if "overlap" in made:
        unit = np.where(blank.onsite[blank.element_pair] & (blank.element_rows == blank.element_columns), 1.0, 0.0)
        made["overlap"] = blank.with_values(0.3 * made["overlap"].values + unit)
    return atoms, made


def case(toy, kind):
    """Basis, and per structure the operators with a predicted Hamiltonian beside them, as blocks and in one batch."""
    rng = np.random.default_rng(3)
    if kind == "crystal":
        basis, cutoffs = CRYSTAL, CUTOFFS
        structures = [crystal(rng, ("hamiltonian", "overlap"))]
    else:
        basis, cutoffs = toy.BASIS, toy.CUTOFFS
        structures = [toy.structure(seed, n_atoms) for seed, n_atoms in ((0, 4), (1, 6))]
        for _, operators in structures:
            s = operators["overlap"]
            unit = s.onsite[s.element_pair] & (s.element_rows == s.element_columns)
            operators["overlap"] = s.with_values(0.1 * s.values * ~s.onsite[s.element_pair] + unit)
            h = operators["hamiltonian"]
            operators["hamiltonian"] = h.with_values(h.values + rng.normal(size=h.values.shape)).hermitise()
    layout, graphs, predicted = BlockIrreps(basis), [], []
    for atoms, operators in structures:
        h = operators["hamiltonian"]
        predicted.append(h.with_values(h.values + 0.1 * rng.normal(size=h.values.shape)).hermitise())
        graph = build_graph(atoms, cutoffs, layout, operators | {"density": predicted[-1]}, torch.float64)
        graph.electrons = torch.tensor([ELECTRONS], dtype=torch.float64)
        graphs.append(graph)
    batch = Batch.from_data_list(graphs)
    features = OperatorFeatures(batch.density_onsite, batch.density_pair)
    return layout, [operators for _, operators in structures], predicted, batch, features


def loss_of(layout, kpoints=KPOINTS, **settings):
    loss = LevelsLoss(layout, LevelsConfig(**settings), SCALE, torch.device("cpu"))
    loss.fixed = torch.from_numpy(kpoints)
    return loss


@pytest.mark.parametrize("kind", ["crystal", "molecules"])
def test_matrices_equal_those_of_the_blocks(toy, kind):
    layout, _, predicted, batch, features = case(toy, kind)
    k = torch.from_numpy(KPOINTS).expand(len(predicted), -1, -1)
    found = DenseMatrices(ElementPlaces(layout), batch, k)(features).numpy()
    for number, blocks in enumerate(predicted):
        n = blocks.n_orbitals
        assert np.allclose(found[:, number, :n, :n], blocks.at_k(KPOINTS), atol=1e-13)
        assert not found[:, number, n:].any()
        assert not found[:, number, :, n:].any()
    gamma = DenseMatrices(ElementPlaces(layout), batch, torch.zeros(len(predicted), 1, 3, dtype=torch.float64))
    assert gamma(features).dtype == torch.float64
    assert np.allclose(gamma(features)[0, 0].numpy(), found[0, 0].real, atol=1e-13)


@pytest.mark.parametrize("kind", ["crystal", "molecules"])
def test_both_losses_equal_scipy(toy, kind):
    """Four occupied levels and two empty ones count; 1 % of the weight on all other elements of T."""
    layout, operators, predicted, batch, features = case(toy, kind)
    alignments, bands = [], []
    for reference, blocks in zip(operators, predicted):
        for k in KPOINTS if kind == "crystal" else KPOINTS[:1]:
            h, s, p = (m.at_k(k[None])[0] for m in (reference["hamiltonian"], reference["overlap"], blocks))
            eps, c = scipy.linalg.eigh(h, s)
            t = c.conj().T @ p @ c - np.diag(eps)
            weight = np.full(t.shape, 0.01)
            weight[:6, :6] = 1.0
            alignments.append(np.sqrt((weight * abs(t) ** 2).sum() / weight.sum()))
            bands.append(abs(scipy.linalg.eigh(p, s, eigvals_only=True) - eps)[:6].mean())
    wanted = {"wavefunction": np.mean(alignments) / SCALE, "bands": np.mean(bands) / SCALE}
    for name, value in wanted.items():
        loss = loss_of(layout, **{name: 1.0}, empty_share=0.5, others=0.01)
        assert float(loss(features, batch)) == pytest.approx(value, rel=1e-10)
    both = loss_of(layout, wavefunction=0.25, bands=2.0, empty_share=0.5, others=0.01)
    assert float(both(features, batch)) == pytest.approx(0.25 * wanted["wavefunction"] + 2 * wanted["bands"], rel=1e-10)


@pytest.mark.parametrize("name", ["wavefunction", "bands"])
def test_gradients_equal_finite_differences(toy, name):
    layout, _, _, batch, features = case(toy, "crystal")
    loss = loss_of(layout, **{name: 1.0})
    loss._kpoints = lambda graph, random: torch.from_numpy(KPOINTS).expand(1, -1, -1)
    pair = features.pair.clone().requires_grad_()
    loss(OperatorFeatures(features.onsite, pair), batch).backward()
    direction = torch.randn(pair.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = 1e-5
    ends = [float(loss(OperatorFeatures(features.onsite, features.pair + x * direction), batch)) for x in (step, -step)]
    assert float((pair.grad * direction).sum()) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("name", ["wavefunction", "bands"])
def test_degenerate_levels_and_perfect_predictions_are_safe(toy, name):
    """All reference levels equal, then a prediction that equals the reference: finite loss and gradient."""
    layout, _, _, batch, features = case(toy, "molecules")
    batch.hamiltonian_onsite, batch.hamiltonian_pair = -3.0 * batch.overlap_onsite, -3.0 * batch.overlap_pair
    loss = loss_of(layout, **{name: 1.0})
    for start in (features, OperatorFeatures(batch.hamiltonian_onsite, batch.hamiltonian_pair)):
        leaves = OperatorFeatures(*(part.clone().requires_grad_() for part in start))
        value = loss(leaves, batch)
        value.backward()
        assert torch.isfinite(value)
        assert all(torch.isfinite(part.grad).all() for part in leaves)
    assert float(value.detach()) < 1e-11


def test_singular_overlaps_lose_their_directions(toy):
    layout, _, _, batch, features = case(toy, "molecules")
    whole = loss_of(layout, bands=1.0, wavefunction=1.0, others=1.0)
    dense = DenseMatrices(whole.places, batch, torch.zeros(2, 1, 3, dtype=torch.float64))
    stored = (OperatorFeatures(batch[f"{n}_onsite"], batch[f"{n}_pair"]) for n in ("hamiltonian", "overlap"))
    h, s = (dense(f) for f in stored)
    values, vectors = torch.linalg.eigh(s)
    kept = vectors * (values > values.median(dim=-1, keepdim=True).values)[..., None, :]
    singular = kept @ kept.mH
    reference = whole.solve(h, singular, batch.electrons)
    for number in range(2):
        x = torch.linalg.eigh(singular[0, number])[1][:, -int(kept[0, number].any(0).sum()) :]
        exact = torch.linalg.eigvalsh(x.mH @ h[0, number] @ x)
        assert torch.allclose(reference.levels[0, number, : len(exact)], exact, atol=1e-9)
        assert int((~reference.unused[0, number]).sum()) == len(exact)
    assert torch.isfinite(whole.band_error(dense(features), reference))


def test_kpoints_are_drawn_in_training_and_fixed_in_validation(toy):
    layout, _, _, batch, features = case(toy, "crystal")
    loss = LevelsLoss(layout, LevelsConfig(bands=1.0, kpoints=3), SCALE, torch.device("cpu"))
    assert float(loss(features, batch)) == float(loss(features, batch))
    leaves = OperatorFeatures(*(part.clone().requires_grad_() for part in features))
    torch.manual_seed(1)
    drawn = [float(loss(leaves, batch).detach()) for _ in range(2)]
    torch.manual_seed(1)
    assert drawn == [float(loss(leaves, batch).detach()) for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_what_is_missing_is_said(toy):
    layout, _, _, batch, features = case(toy, "molecules")
    del batch.electrons
    with pytest.raises(ConfigError, match="the graphs lack electrons"):
        loss_of(layout, bands=1.0)(features, batch)
    with pytest.raises(ConfigError, match="needs the target hamiltonian"):
        levels_loss(layout, LossConfig(levels={"bands": 1.0}), {"overlap": 1.0}, torch.device("cpu"))
    with pytest.raises(ValueError, match="give a weight"):
        LevelsConfig()
    assert "levels" not in LossConfig().model_dump(mode="json")
    assert LossConfig(levels={"bands": 1.0}).model_dump()["levels"]["bands"] == 1.0
