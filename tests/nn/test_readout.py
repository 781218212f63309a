"""Target statistics against NumPy."""

import numpy as np
import torch

from slembench.nn.readout import OperatorFeatures, TargetStatistics
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import Basis

LAYOUT = BlockIrreps(Basis.parse({"Si": "2s1p", "C": "1s1p"}))


def targets(rows=200):
    rng = np.random.default_rng(0)
    species, kinds = rng.integers(0, 2, rows), rng.integers(0, 4, rows)
    onsite = rng.normal(2.0, 3.0, size=(rows, LAYOUT.n_features)) * LAYOUT.onsite_mask[species]
    pair = rng.normal(0.5, 0.1, size=(rows, LAYOUT.n_features)) * LAYOUT.pair_mask[kinds]
    features = OperatorFeatures(torch.from_numpy(onsite), torch.from_numpy(pair))
    return features, torch.from_numpy(species), torch.from_numpy(kinds)


def test_scales_are_per_irrep_and_shifts_only_on_scalars():
    features, species, kinds = targets()
    statistics = TargetStatistics(LAYOUT).double()
    statistics.fit([(features, species, kinds)])
    onsite = features.onsite.numpy()
    for s in range(2):
        rows = onsite[species.numpy() == s]
        shift = np.where(LAYOUT.scalar & LAYOUT.onsite_mask[s], rows.mean(0), 0.0)
        assert np.allclose(statistics.onsite_shift[s].numpy(), shift)
        for path in range(LAYOUT.n_irreps):
            columns = path == LAYOUT.path
            rms = np.sqrt(((rows - shift)[:, columns] ** 2).mean())
            mask = LAYOUT.onsite_mask[s][columns]
            assert np.allclose(statistics.onsite_scale[s].numpy()[columns], rms * mask)
    assert statistics.pair_shift.abs().max() == 0
    pair = features.pair.numpy()[kinds.numpy() == 3]
    first = path == LAYOUT.path
    assert np.allclose(statistics.pair_scale[3].numpy()[first], np.sqrt((pair[:, first] ** 2).mean()))


def test_output_is_masked_and_in_data_units():
    features, species, kinds = targets()
    statistics = TargetStatistics(LAYOUT, pair_shifts=True).double()
    statistics.fit([(features, species, kinds)])
    ones = torch.ones(len(species), LAYOUT.n_features, dtype=torch.float64)
    result = statistics(OperatorFeatures(ones, ones), species, kinds)
    assert result.onsite[~torch.from_numpy(LAYOUT.onsite_mask)[species]].abs().max() == 0
    assert result.pair[~torch.from_numpy(LAYOUT.pair_mask)[kinds]].abs().max() == 0
    zero = statistics(OperatorFeatures(0 * ones, 0 * ones), species, kinds)
    shifted = torch.from_numpy(LAYOUT.scalar & LAYOUT.pair_mask[3])
    assert (zero.pair[kinds == 3][:, shifted] > 0.3).all()


def test_an_absent_element_keeps_zero_scale():
    features, species, kinds = targets()
    keep = species == 0
    statistics = TargetStatistics(LAYOUT).double()
    statistics.fit(
        [(OperatorFeatures(features.onsite[keep], features.pair[kinds == 0]), species[keep], kinds[kinds == 0])]
    )
    assert statistics.onsite_scale[1].abs().max() == 0
    assert torch.isfinite(statistics.onsite_scale).all()
