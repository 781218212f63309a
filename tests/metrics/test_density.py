"""Density metrics against dense traces and PySCF."""

import numpy as np
import pytest

from slembench.metrics.density import closed_shell_density, d_idempotency, d_trace_error, electrons_of
from slembench.metrics.matrix import align_hermitian


def test_electrons_of_a_crystal_are_the_mean_trace(crystals):
    sample = crystals.sample("s00")
    d, s = sample.operators["hamiltonian"], sample.operators["overlap"]  # any Hermitian operator serves as D
    kpoints = np.array([(a / 7, b / 7, 0) for a in range(7) for b in range(7)])
    traces = np.einsum("kij,kji->k", d.at_k(kpoints), s.at_k(kpoints))
    d, s = d.complete().values, align_hermitian(s, d.complete().pair_index, d.complete().pair_shift)[0].values
    assert electrons_of(d, s) == pytest.approx(traces.mean().real, rel=1e-10)
    assert d_trace_error(d, s, 3.0) == pytest.approx(abs(traces.mean().real - 3), rel=1e-10)


def test_density_of_pyscf():
    pyscf = pytest.importorskip("pyscf")
    molecule = pyscf.gto.M(atom="O 0 0 0; H 0 0.76 0.59; H 0 -0.76 0.59", basis="sto-3g", verbose=0)
    solver = pyscf.scf.RHF(molecule)
    solver.kernel()
    s, d = molecule.intor("int1e_ovlp"), solver.make_rdm1()
    result = closed_shell_density(solver.mo_coeff, 5)
    np.testing.assert_allclose(result, d, atol=1e-12)
    assert d_idempotency(d, s) < 1e-9
    noisy = d + 1e-3 * np.ones_like(d)
    assert d_idempotency(noisy, s) == pytest.approx(np.abs(noisy @ s @ noisy / 2 - noisy).max())
    assert electrons_of(result, s) == pytest.approx(10)
