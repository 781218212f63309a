"""Physics that every prediction must obey, in float64: symmetries as declared, locality, size extensivity ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from slembench.suite.model_under_test import ModelUnderTest
    from slembench.suite.session import RecordValue

DECLARED_BY = {"rotation": ("O3", "SO3"), "inversion": ("O3",), "continuity": ()}
"""Check -> declared symmetries of models that must pass it; checks that are not named here hold for every model.

Continuity at the cutoff is required of none: published models jump there, and only a gate refuses that."""

FAILED = "the model failed"
"""Beginning of the note of a check in which the model raised an error."""


def test_finite(under_test: ModelUnderTest) -> None:
    """Predicted elements are finite."""
    import numpy as np

    from slembench.inference.physics import structure_blocks

    for atoms in under_test.structures(3):
        for name, blocks in structure_blocks(under_test.model, atoms).items():
            assert np.isfinite(blocks.values).all(), f"{name} of {atoms.get_chemical_formula()}"


def test_determinism(under_test: ModelUnderTest, record_value: RecordValue) -> None:
    """The same structure gives the same operators, also after another one was predicted."""
    from slembench.suite.checks import repetition_error

    error = repetition_error(under_test.model, under_test.structures(2))
    record_value("contract", "determinism", error)
    assert error < 1e-12


def test_physics(under_test: ModelUnderTest, record_value: RecordValue, physics_check: str) -> None:
    """Equivariance as declared, translation, permutation, Hermiticity, locality, size and continuity."""
    import numpy as np

    from slembench.inference.physics import structure_blocks
    from slembench.suite.shared_results import ComputationError

    try:
        check = under_test.physics()[physics_check]
    except ComputationError as failure:
        pytest.fail(str(failure), pytrace=False)
    record_value("physics", physics_check, check)
    if check["note"].startswith(FAILED):
        pytest.fail(check["note"], pytrace=False)
    if check["passed"] is None:
        # not applicable (too few atoms, no periodic axis), or NaN in the comparison, which must not count as a skip
        operators = structure_blocks(under_test.model, under_test.structures()[0]).values()
        if not all(np.isfinite(blocks.values).all() for blocks in operators):
            pytest.fail("predictions are not finite", pytrace=False)
        pytest.skip(check["note"])
    measured = f"{check['value']:.2e}, limit {check['limit']:.0e} ({check['note']})"
    symmetry = under_test.model.symmetry
    if check["passed"]:
        return
    if symmetry not in DECLARED_BY.get(physics_check, (symmetry,)):
        pytest.skip(f"not claimed; measured {measured}")
    pytest.fail(f"{physics_check}: largest relative error {measured}", pytrace=False)
