"""The cache of reference levels: same numbers, keyed by content, damaged files made again."""

import numpy as np
import pytest

from slembench.evaluation import reference
from slembench.evaluation.reference import LevelCache, reference_levels
from slembench.metrics.spectrum import k_mesh, levels, overlap_minimum

KPOINTS, _ = k_mesh((3, 3, 1))


@pytest.fixture
def operators(crystals):
    blocks = crystals.sample("s00").operators
    return blocks["hamiltonian"], blocks["overlap"]


@pytest.fixture
def solved(monkeypatch):
    """Counts how often levels are computed."""
    calls = []
    monkeypatch.setattr(reference, "reference_levels", lambda *args: calls.append(1) or reference_levels(*args))
    return calls


def test_stored_levels_are_the_computed_ones(tmp_path, operators, solved):
    first = LevelCache(tmp_path, "f1", KPOINTS).get("a", *operators)
    again = LevelCache(tmp_path, "f1", KPOINTS).get("a", *operators)
    assert len(solved) == 1
    np.testing.assert_array_equal(again.eps, first.eps)
    np.testing.assert_array_equal(again.orbitals, first.orbitals)
    np.testing.assert_allclose(first.eps, levels(*operators, KPOINTS), atol=1e-12)
    assert again.s_min_eig == first.s_min_eig == overlap_minimum(operators[1], KPOINTS)


def test_orbitals_solve_the_generalised_problem(operators):
    found = reference_levels(*operators, KPOINTS, kept=4)
    assert found.orbitals.shape == (len(KPOINTS), 14, 4)
    for h, s, eps, c in zip(operators[0].at_k(KPOINTS), operators[1].at_k(KPOINTS), found.eps, found.orbitals):
        np.testing.assert_allclose(h @ c, (s @ c) * eps[:4], atol=1e-12)
        np.testing.assert_allclose(c.conj().T @ s @ c, np.eye(4), atol=1e-12)


def test_other_content_is_another_entry(tmp_path, operators, solved):
    for fingerprint, kpoints, structure in (("f1", KPOINTS, "a"), ("f2", KPOINTS, "a"), ("f1", KPOINTS[:1], "a")):
        LevelCache(tmp_path, fingerprint, kpoints).get(structure, *operators)
    LevelCache(tmp_path, "f1", KPOINTS).get("b", *operators)
    LevelCache(tmp_path, "f1", KPOINTS).get("b", *operators, 3)
    assert len(solved) == 5


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_a_damaged_file_is_made_again(tmp_path, operators, solved, kept):
    cache = LevelCache(tmp_path, "f1", KPOINTS)
    first = cache.get("a", *operators)
    (file,) = tmp_path.rglob("*.levels")
    content = file.read_bytes()
    file.write_bytes(content[:kept])
    np.testing.assert_array_equal(cache.get("a", *operators).eps, first.eps)
    assert len(solved) == 2
    assert file.read_bytes() == content


def test_no_folder_no_cache(operators, solved):
    cache = LevelCache(None, "f1", KPOINTS)
    cache.get("a", *operators)
    cache.get("a", *operators)
    assert len(solved) == 2
