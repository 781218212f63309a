"""A site of runs that were never made: ties, seeds, a second split, floors, a withdrawn entry, hostile words."""

import numpy as np
import pytest

import slembench
from slembench.reports.site import build_site
from slembench.results.index import add_entries, retire
from slembench.results.record import PhysicsCheck

EVIL = "<script>alert(1)</script>"
CHECKS = {
    "rotation": PhysicsCheck(value=2e-6, limit=1e-4, passed=True, structure="s00"),
    "inversion": PhysicsCheck(value=0.3, limit=1e-4, passed=False, structure="s00"),
    "locality": PhysicsCheck(limit=1e-12, note="the receptive field is not strict", structure="s00"),
}


@pytest.fixture(scope="session")
def results(tmp_path_factory, write_run):
    """Folder of results with an index."""
    root, rng = tmp_path_factory.mktemp("results"), np.random.default_rng(0)
    noise = rng.normal(size=(5, 24))
    errors = {"slem": 0.010, "lem": 0.0101, "qhnet": 0.030}
    for k, (model, size) in enumerate(errors.items()):
        for seed in (1, 2) if model != "qhnet" else (1,):
            values = size * (1 + 0.2 * noise[k] + 0.02 * noise[3 + seed - 1])
            name, physics = f"{model}-{seed}", CHECKS if model == "qhnet" else {}
            folder = root / "runs" / "mos2-mini" / name
            write_run(folder / "test", name, values, seed=seed, model=model, physics=physics)
            if model == "slem":
                write_run(folder / "test_3x3", name, 3 * values, seed=seed, model=model, split="test_3x3")
    write_run(root / "runs" / "evil", EVIL, [0.5] * 24, model="x/../../evil", config={"inputs": ["S"]}, training=None)
    write_run(root / "runs" / "cheat", "cheat", [1e-6] * 24, model="cheat")
    for name, size in (("zero", 0.9), ("mean", 0.1)):
        write_run(root / "floors" / name, f"floor-{name}", [size] * 24, model=f"floor-{name}", kind="floor")
    add_entries(root)
    retire(root, "runs/cheat", "trained on test structures")
    return root


@pytest.fixture(scope="session")
def board(results):
    return slembench.board(runs=(), results=results)


@pytest.fixture(scope="session")
def site(board, tmp_path_factory):
    """Folder of the site, without pictures of the data set."""
    out = tmp_path_factory.mktemp("site") / "out"
    build_site(board, out, draw=False)
    return out
