"""What is stored of every shipped model is what is found when it is built and tried again."""

import pytest

from slembench.core.errors import ConfigError
from slembench.models.facts import EXPECTED_FILE, read_entry
from slembench.models.registry import shipped_folders
from slembench.suite.facts import measure_facts, write_facts

EXACT = 1e-10


def same_error(found, stored):
    """Rounding is another one on every machine; an error that is none of rounding is reproduced by its seed."""
    return found < EXACT if stored < EXACT else found == pytest.approx(stored, rel=0.1)


@pytest.mark.parametrize("name", sorted(shipped_folders()))
def test_stored_facts_are_measured_again(name):
    stored = read_entry(name).facts
    found = measure_facts(name, stored.dataset, stored.variant)
    for key in ("rotation", "inversion"):
        assert same_error(getattr(found, f"{key}_error"), getattr(stored, f"{key}_error")), key
    errors = {"rotation_error", "inversion_error"}
    assert found.model_dump(exclude=errors) == stored.model_dump(exclude=errors)
    # and what is declared is what is found
    assert (stored.rotation_error < EXACT) == (stored.symmetry in ("O3", "SO3"))
    assert (stored.inversion_error < EXACT) == (stored.symmetry == "O3")


def test_facts_of_a_model_outside_are_written_beside_it(tmp_path):
    (tmp_path / "model.py").write_text("from slembench.models.slem.model import Slem as MODEL\n")
    facts = measure_facts(str(tmp_path), "qh9-mini")
    assert write_facts(str(tmp_path), facts) == tmp_path / EXPECTED_FILE
    assert read_entry(str(tmp_path)).facts == facts
    assert facts.dataset == "qh9-mini"
    with pytest.raises(ConfigError, match="has no folder"):
        write_facts("slembench.models.slem.model:Slem", facts)
