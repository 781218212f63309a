from types import SimpleNamespace

import pytest

import slembench.data.recipes.generate as generation
from slembench.core.errors import ConfigError, DataError
from slembench.core.jobs import JobsResult
from slembench.data.recipes.generate import run_recipe


@pytest.fixture
def outcome(monkeypatch):
    """Replace the runner by a function that returns, or raises, what the test puts in."""
    box = SimpleNamespace(value=JobsResult(), calls=[])

    def generate(plan, workdir, jobs):
        box.calls.append((plan, workdir, jobs))
        if isinstance(box.value, Exception):
            raise box.value
        return box.value

    monkeypatch.setattr(generation, "generate", generate)
    monkeypatch.setattr(generation, "import_module", lambda name: SimpleNamespace(plan=lambda: f"plan of {name}"))
    return box


def test_plan_of_the_template_is_run(outcome, tmp_path):
    assert run_recipe("mos2-mini", tmp_path, 2) is outcome.value
    assert outcome.calls == [("plan of slembench.data.recipes.mos2", tmp_path, 2)]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (ModuleNotFoundError("this recipe needs GPAW: install it"), ConfigError, "this recipe needs GPAW"),
        (ValueError("work holds results of other settings"), DataError, "results of other settings"),
        (
            JobsResult([], [], {"structures/a": "no convergence", "b": "x"}),
            DataError,
            "2 calculations failed, the first str",
        ),
    ],
)
def test_failures_are_errors_a_user_can_act_on(outcome, tmp_path, value, kind, message):
    outcome.value = value
    with pytest.raises(kind, match=message):
        run_recipe("mos2-mini", tmp_path, 1)


def test_unknown_recipe(tmp_path):
    with pytest.raises(DataError, match="no recipe for data set 'gold'"):
        run_recipe("gold", tmp_path, 1)
