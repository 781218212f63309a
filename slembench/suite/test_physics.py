"""Physics: what every prediction must obey, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from slembench.suite.session import Note
    from slembench.suite.subject import Subject

CLAIMS = {"rotation": ("O3", "SO3"), "inversion": ("O3",), "continuity": ()}
"""Check -> declared symmetries that promise it; others hold for every model. Published models jump at the cutoff."""

FAILED = "the model failed"
"""What the note of a check begins with when the model raised an error in it."""


def test_finite(subject: Subject) -> None:
    """No prediction is infinite or not a number."""
    import numpy as np

    from slembench.suite.checks import predict_blocks

    for atoms in subject.structures(3):
        for name, blocks in predict_blocks(subject.model, atoms).items():
            assert np.isfinite(blocks.values).all(), f"{name} of {atoms.get_chemical_formula()}"


def test_determinism(subject: Subject, note: Note) -> None:
    """The same structure gives the same operators, also after another one."""
    from slembench.suite.checks import repetition_error

    error = repetition_error(subject.model, subject.structures(2))
    note("contract", "determinism", error)
    assert error < 1e-12


def test_physics(subject: Subject, note: Note, physics_check: str) -> None:
    """Equivariance as declared, translation, permutation, Hermiticity, locality, size and continuity."""
    import numpy as np

    from slembench.suite.checks import predict_blocks
    from slembench.suite.shared import Failure

    try:
        check = subject.physics()[physics_check]
    except Failure as failure:
        pytest.fail(str(failure), pytrace=False)
    note("physics", physics_check, check)
    if check["note"].startswith(FAILED):
        pytest.fail(check["note"], pytrace=False)
    if check["passed"] is None:
        operators = predict_blocks(subject.model, subject.structures()[0]).values()
        if not all(np.isfinite(blocks.values).all() for blocks in operators):
            pytest.fail("predictions are not finite", pytrace=False)
        pytest.skip(check["note"])
    measured = f"{check['value']:.2e}, limit {check['limit']:.0e} ({check['note']})"
    symmetry = subject.model.symmetry
    if check["passed"]:
        return
    if symmetry not in CLAIMS.get(physics_check, (symmetry,)):
        pytest.skip(f"not claimed; measured {measured}")
    pytest.fail(f"{physics_check}: largest relative error {measured}", pytrace=False)
