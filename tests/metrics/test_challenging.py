"""Where a baseline is worst, by hand; and the error of one block against loops."""

import numpy as np
import pandas as pd
import pytest

from slembench.metrics.challenging import block_sums, challenging_block, challenging_samples
from slembench.metrics.matrix import error_blocks, first_atoms, join


def test_the_worst_tenth():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"s{k}" for k in range(25)]})
    for part in ("onsite", "offsite"):
        table[f"hamiltonian.{part}.full.abs_sum"] = rng.uniform(0, 1, 25)
        table[f"hamiltonian.{part}.full.count"] = rng.integers(1, 9, 25)
    count = table["hamiltonian.onsite.full.count"] + table["hamiltonian.offsite.full.count"]
    error = (table["hamiltonian.onsite.full.abs_sum"] + table["hamiltonian.offsite.full.abs_sum"]) / count
    expected = [f"s{k}" for k in np.argsort(-error.to_numpy())[:2]]
    assert challenging_samples(table, "hamiltonian") == expected
    assert len(challenging_samples(table[:5], "hamiltonian")) == 1


def test_the_worst_block():
    columns = ["operator", "part", "element_i", "shell_i", "element_j", "shell_j", "mae"]
    rows = [
        ("hamiltonian", "all", "B", "s1", "N", "d1", 0.2),
        ("hamiltonian", "onsite", "N", "d1", "N", "d1", 0.9),
        ("hamiltonian", "all", "N", "p1", "B", "s2", 0.5),
        ("overlap", "all", "B", "s1", "B", "s1", 7.0),
    ]
    assert challenging_block(pd.DataFrame(rows, columns=columns), "hamiltonian") == ("N", "p1", "B", "s2")


def test_sums_of_one_block(crystals):
    rng, names = np.random.default_rng(1), ["s00", "s01"]
    references = [crystals.sample(name).operators["hamiltonian"].complete() for name in names]
    predictions = [r.with_values(r.values + rng.normal(size=len(r.values))) for r in references]
    starts = first_atoms([len(r.numbers) for r in references])
    result = error_blocks(join(predictions, crystals.basis), join(references, crystals.basis))
    absolute, count = block_sums(result, starts, crystals.basis, ("N", "p1", "B", "s2"))
    for k, (prediction, reference) in enumerate(zip(predictions, references)):
        total, elements = 0.0, 0
        for p, (i, j) in enumerate(reference.pair_index):
            if (reference.numbers[i], reference.numbers[j]) == (7, 5):
                error = prediction.gather(np.array([p]))[0] - reference.gather(np.array([p]))[0]
                total += np.abs(error[1:4, 1]).sum()  # N: s p p p d..., B: s s p p p
                elements += 3
        assert absolute[k] == pytest.approx(total, rel=1e-12)
        assert count[k] == elements > 0
    with pytest.raises(ValueError, match="no shell 'd1' of element 'B'"):
        block_sums(result, starts, crystals.basis, ("B", "d1", "B", "s1"))
    zeros = block_sums(
        result, starts, crystals.basis.parse({"B": "2s1p", "N": "1s1p1d", "H": "1s"}), ("H", "s1", "B", "s1")
    )
    assert not np.any(zeros)
