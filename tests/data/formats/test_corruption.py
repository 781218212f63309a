"""Every reader survives damage: 300 broken copies of a valid file each give an error that names it, or a correct read.

A read that differs from the sound file's counts as correct where nothing in the file can tell: the result is finite,
Hermitian and has a positive definite overlap. `corruption` makes the damage and judges, in a process of its own.
SLEMBENCH_CORRUPTIONS sets another number of damages.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import slembench
from slembench.data.formats import write_samples

HERE = Path(__file__).parent
LIMIT = 900
"""Seconds that one case may take; a few where nothing else runs."""

COUNT = int(os.environ.get("SLEMBENCH_CORRUPTIONS", "300"))


def sibling(name):
    """Another test module below this folder, such as ``qh9/test_database``, for its writers."""
    spec = importlib.util.spec_from_file_location(name.replace("/", "."), HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Worker:
    """The process that reads; a new one after each that died."""

    def __init__(self, folder):
        self.log, self.process = folder / "log", None

    def run(self, **job):
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "corruption.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log.open("w"),
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(slembench.__file__).parents[1])},
            )
        self.process.stdin.write(json.dumps(job, default=str) + "\n")
        self.process.stdin.flush()
        watch = threading.Timer(LIMIT, self.process.kill)  # native code does not listen to the alarm of one read
        watch.start()
        line = self.process.stdout.readline()
        watch.cancel()
        if not line:
            last = self.log.read_text(errors="replace")[-2000:]
            pytest.fail(f"the process ended with {self.process.wait()}; its last words:\n{last}")
        return json.loads(line)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    worker = Worker(tmp_path_factory.mktemp("worker"))
    yield worker
    if worker.process is not None:
        worker.process.stdin.close()
        worker.process.wait()


def small_crystal(crystals):
    """A crystal of two atoms with few pairs and a density matrix."""
    sample = crystals.sample("s00")
    overlap = sample.operators["overlap"]
    short = np.linalg.norm(overlap.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1) < 2.0
    operators = {name: operator.take(np.flatnonzero(short)) for name, operator in sample.operators.items()}
    return replace(sample, operators={**operators, "density": operators["overlap"] * 0.5})


def written(name, files):
    """Case of a crystal that this project writes: folder of one structure and the files to damage."""

    def build(tmp_path, crystals, **_):
        write_samples([small_crystal(crystals)], tmp_path / "set", name)
        folder = next((tmp_path / "set").iterdir()) if (tmp_path / "set").is_dir() else tmp_path / "set"
        return folder, files

    return build


def parquet(tmp_path, crystals, **_):
    samples = [replace(small_crystal(crystals), id=name) for name in ("a", "b")]
    write_samples(samples, tmp_path / "set.parquet", "parquet")
    return tmp_path / "set.parquet", [""]


def qh9_sqlite(dynamic):
    def build(tmp_path, write_qh9, **_):
        return write_qh9(tmp_path / "QH9.db", dynamic), [""]

    return build


def qh9_lmdb(tmp_path, qh9_records, **_):
    records = [{**record, "pos": record["pos"] * 1.8897259886} for record in qh9_records]
    return sibling("qh9/test_database").write_lmdb(tmp_path / "QH9.lmdb", records), ["data.mdb"]


def deeptb_lmdb(tmp_path, molecules, **_):
    module = sibling("deeptb/test_lmdb")
    records = [module.record_of(molecules.sample(f"s0{k}"), triangle=k == 0) for k in range(3)]
    return module.write(tmp_path / "data.1.lmdb", records), ["data.mdb"]


def molecule_database(kind):
    def build(tmp_path, **_):
        module = sibling("molecules/test_databases")
        return module.write(kind, tmp_path / "methanol.db", [module.METHANOL]), [""]

    return build


def checkpoint(tmp_path, **_):
    sibling("molecules/test_pyscf").run(tmp_path / "water.chk", basis="sto-3g")
    return tmp_path / "water.chk", [""]


def abacus(tmp_path, crystals, **_):
    sibling("abacus/test_reader").write_run(tmp_path / "BN", small_crystal(crystals))
    files = [f"OUT.ABACUS/data-{kind}-sparse_SPIN0.csr" for kind in ("HR", "SR", "DMR")]
    return tmp_path / "BN", [*files, *files, "STRU", "OUT.ABACUS/running_scf.log", "INPUT"]


def siesta(tmp_path, real_files, **_):
    folder = shutil.copytree(real_files / "siesta/H2O_dimer", tmp_path / "H2O", copy_function=shutil.copyfile)
    folder.chmod(0o755)
    return folder, ["h2o_dipole.HSX", "h2o_dipole.DM", "h2o_dipole.XV"]


DEEPTB_TEXT = [f"{name}.dat" for name in ("positions", "cell", "basis", "atomic_numbers", "pbc")] + ["info.json"]
LEGACY_TEXT = [*(f"{name}.dat" for name in ("element", "lat", "site_positions", "orbital_types")), "info.json"]

CASES = {
    "deeph-new": ("deeph-new", written("deeph-new", [
        "hamiltonian.h5", "overlap.h5", "density_matrix.h5", "POSCAR", "info.json"])),
    "deeph-legacy": ("deeph-legacy", written("deeph-legacy", [
        "hamiltonians.h5", "overlaps.h5", "density_matrixs.h5", *LEGACY_TEXT])),
    "deeptb": ("deeptb", written("deeptb", ["hamiltonians.h5", "overlaps.h5", "density_matrices.h5", *DEEPTB_TEXT])),
    "deeptb-lmdb": ("deeptb-lmdb", deeptb_lmdb),
    "qh9-stable": ("qh9", qh9_sqlite(False)),
    "qh9-dynamic": ("qh9", qh9_sqlite(True)),
    "qh9-lmdb": ("qh9", qh9_lmdb),
    "schnorb": ("schnorb", molecule_database("schnorb")),
    "phisnet": ("phisnet", molecule_database("phisnet")),
    "nabla": ("phisnet", molecule_database("nabla")),
    "pyscf-chk": ("pyscf-chk", checkpoint),
    "abacus": ("abacus", abacus),
    "siesta": ("siesta", siesta),
    "parquet": ("parquet", parquet),
}  # fmt: skip
OPTIONS = {"deeptb-lmdb": {"unit": "eV", "basis": {"B": "2s1p", "N": "1s1p1d"}}}


@pytest.mark.filterwarnings("ignore:.*invalid.*escape:DeprecationWarning")
@pytest.mark.parametrize("name", CASES)
def test_damaged_files(name, worker, tmp_path, request):
    needs = {"siesta": ["real_files"], "schnorb": [], "pyscf-chk": []}.get(
        name, ["crystals", "molecules", "write_qh9", "qh9_records"]
    )
    if name == "siesta":
        pytest.importorskip("sisl", reason="sisl is not installed")
    kind, build = CASES[name]
    path, files = build(tmp_path, **{fixture: request.getfixturevalue(fixture) for fixture in needs})
    answer = worker.run(
        name=name, path=path, format=kind, files=files, count=COUNT, seed=1, options=OPTIONS.get(name, {})
    )
    assert not answer["problems"], "\n".join(answer["problems"])
    found = answer["found"]
    assert sum(found.values()) == COUNT
    assert found.get("error", 0) > COUNT / 10
    assert found.get("same", 0) + found.get("other", 0) > 0
