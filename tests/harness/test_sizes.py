"""The shipped recipes have the sizes that their README states, in the bases it states."""

import re

import pytest

from slembench.harness.recipe import find_recipe, load_recipe, read_recipe
from slembench.operators.orbitals import Basis

D = {"Mo": "3s2p2d", "S": "2s2p1d"}
F = {"Hf": "4s2p2d1f", "O": "2s2p1d"}
G = {"Hf": "4s2p2d2f1g", "O": "2s2p1d"}
QH9 = {"H": "2s1p"} | dict.fromkeys("CNOF", "3s2p1d")
SIZES = [
    ("slem", "0.7M", D, 0.7e6),
    ("slem", "4.5M", D, 4.5e6),
    ("slem", "1.7M", F, 1.7e6),
    ("slem", "1.7M-g", G, 1.7e6),
    ("lem", "qh9", QH9, 2.2e6),
]


def count(model, variant, basis):
    settings = load_recipe(model, variant=variant)
    parsed = Basis.parse(basis)
    return settings.kind(settings.model, parsed, dict.fromkeys(parsed.elements, 7.0), ("hamiltonian",)).n_parameters


@pytest.mark.parametrize(("model", "variant", "basis", "size"), SIZES)
def test_sizes_are_the_published_ones_and_those_of_the_readme(model, variant, basis, size):
    found, mini = count(model, variant, basis), count(model, f"{variant}-mini", basis)
    assert abs(found - size) < 0.05 * size
    assert mini < 0.35 * found
    readme = find_recipe(model).with_name("README.md").read_text()
    assert f"{found:,}" in readme
    assert f"{mini:,}" in readme
    for element in basis:
        assert element in readme


@pytest.mark.parametrize("model", ["slem", "lem"])
def test_every_hyper_parameter_is_stated(model):
    """Keys that change the network or the training all stand in the recipe, none is left to a default."""
    recipe = read_recipe(find_recipe(model))
    settings = load_recipe(model)
    left_out = set(type(settings.model).model_fields) - set(recipe.model)
    assert left_out == {"activation_factors", "overlap_residual"}  # of imported models
    machine = {"device", "deterministic", "matmul_precision", "log_every", "max_wall_s", "max_cpu_s", "ema_decay"}
    assert set(type(settings.training).model_fields) - set(recipe.training) <= machine


def test_every_variant_is_valid_and_described():
    for model in ("slem", "lem", "harmose", "deeph-e3", "qhnet", "hamgnn"):
        variants = read_recipe(find_recipe(model)).variants
        assert {"quickstart", "board"} <= set(variants)
        for name, variant in variants.items():
            assert variant.description
            training = load_recipe(model, variant=name).training
            assert training.max_steps or training.max_cpu_s
            assert re.fullmatch(r"[\w.-]+", name)
