"""Recipes of crystals: plans, ids, cells of the right symmetry, displacements that repeat."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from slembench.data.recipes import crystal, gan, graphene, hfo2, mos2, si
from slembench.data.recipes.crystal import Crystal, Kind
from slembench.data.recipes.gpaw_lcao import ElementBasis, Level

RECIPES = [recipe.CRYSTAL for recipe in (mos2, graphene, si, gan, hfo2)]


@pytest.fixture(autouse=True)
def without_gpaw(monkeypatch):
    monkeypatch.setattr(crystal.gpaw_lcao, "require_gpaw", lambda: None)


def small(**changes):
    kind = Kind("2x2", (2, 2, 1), (8, 8, 32), (3, 3, 1), (3, 3, 1), count=2, seed=5)
    given = {
        "name": "toy",
        "prefix": "c",
        "unit_cell": graphene.primitive_cell,
        "level": Level(basis=(("C", ElementBasis(radius=4.0)),)),
        "kinds": (kind,),
        "energy_zero": "vacuum",
        "debye": (("C", 1500.0),),
    }
    return Crystal(**(given | changes))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_elements_and_grid_fit_the_cell(recipe):
    cell = recipe.unit_cell()
    assert set(cell.symbols) == set(recipe.radii)
    heights = 1 / np.linalg.norm(np.linalg.inv(cell.cell.array), axis=0)
    for kind in recipe.kinds:
        spacing = heights * kind.repeats / kind.grid
        assert (spacing > 0.17).all()
        assert (spacing < 0.203).all()
        assert all(n % 2 for n in kind.kmesh_ft)


@pytest.mark.parametrize(
    ("recipe", "element", "neighbour", "reach", "count"),
    [(si, "Si", "Si", 2.6, 4), (gan, "Ga", "N", 2.2, 4), (hfo2, "Hf", "O", 2.4, 7), (graphene, "C", "C", 1.6, 3)],
)
def test_coordination_is_that_of_the_crystal(recipe, element, neighbour, reach, count):
    cell = recipe.CRYSTAL.unit_cell()
    i, j, distance = neighbor_list("ijd", cell, reach)
    symbols = np.array(cell.get_chemical_symbols())
    bonded = (symbols[i] == element) & (symbols[j] == neighbour)
    assert set(np.bincount(i[bonded], minlength=len(cell))[symbols == element]) == {count}
    assert distance.min() > 1.4


def test_phonons_give_force_jobs_shared_by_kinds_of_one_supercell():
    pytest.importorskip("phonopy", reason="phonopy is not installed (pip install slembench[recipes])")
    plan = si.CRYSTAL.plan()
    forces, cold, none, hot, (again,) = plan.stages
    assert [job.id for job in forces] == ["forces/1x1x1-00", "forces/1x1x1-01"]
    assert none == ()
    assert cold[3].id == "structures/si-300k-0003"
    assert again.id == "noise/si-300k-0000"
    assert cold[0].needs == hot[0].needs == again.needs == tuple(job.id for job in forces)


def test_drawn_displacements_need_no_forces_and_repeat(tmp_path):
    recipe = small()
    forces, structures, _ = recipe.plan().stages
    assert forces == ()
    assert [job.id for job in structures] == ["structures/c-2x2-0000", "structures/c-2x2-0001"]
    first, again, other = (crystal.displaced(tmp_path, recipe, recipe.kinds[0], n) for n in (0, 0, 1))
    np.testing.assert_array_equal(first[1], again[1])
    assert np.abs(first[1] - other[1]).max() > 1e-3
    rest = recipe.unit_cell().repeat((2, 2, 1))
    np.testing.assert_allclose(first[0].positions, rest.positions + first[1])


def test_settings_change_with_everything_but_the_number_of_structures():
    def settings(**changes):
        return small(**changes).settings

    kind = small().kinds[0]
    more = Kind(**{**vars(kind), "count": 9})
    finer = Kind(**{**vars(kind), "grid": (9, 9, 32)})
    assert settings(kinds=(more,)) == settings()
    for change in ({"kinds": (finer,)}, {"density": True}, {"debye": (("C", 1600.0),)}):
        assert settings(**change) != settings()


def test_wrapping_takes_periodic_coordinates_into_the_cell_only():
    atoms = graphene.primitive_cell()
    atoms.positions += [5.0, -3.0, 20.0]
    scaled = crystal.wrapped(atoms).get_scaled_positions(wrap=False)
    assert ((scaled[:, :2] >= 0) & (scaled[:, :2] < 1)).all()
    assert (scaled[:, 2] > 1).all()
