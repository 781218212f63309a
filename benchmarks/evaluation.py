"""Throughput of an evaluation of molecules, beside the algorithm of QH9's public test loop, both in this run.

Loop (the algorithm of the test script of QH9, https://github.com/divelab/AIRS, written out again): one molecule at a
time, S from PySCF, both the predicted and the reference problem by canonical orthogonalisation (one decomposition of S
and one of the transformed H each), then the errors of matrix, occupied levels, HOMO, LUMO and orbitals. The script
assembles both matrices from padded blocks in loops over pairs of atoms; the figures are given with that and also
without it.

Ours: `slembench.evaluation` on the same predictions, everything it computes by default (both countings and averages,
tables by block and distance, gauge, levels, orbitals in three metrics, error budget), with the reference eigenpairs in
the cache, as they are from the second model on. Reading of the data is counted.

The solver alone: levels and overlaps of all molecules in the reference basis against LAPACK's generalised driver (sygvd
with vectors) called directly, one thread.

    python benchmarks/evaluation.py --threads 2
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

N_MOLECULES = 300
HYDROGEN = [0, 1, 3, 4, 5]
"""Orbitals of H among the 14 of the others."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--molecules", type=int, default=N_MOLECULES)
    given = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(given.threads))
    run(given.threads, given.repeats, given.molecules)


def run(threads: int, repeats: int, molecules: int) -> None:
    import torch

    from slembench.data import load_dataset
    from slembench.evaluation import evaluate

    torch.set_num_threads(threads)
    dataset = load_dataset("qh9-mini")
    ids = (dataset.ids * (1 + molecules // len(dataset)))[:molecules]
    source = Noisy(dataset)
    dataset.split = lambda name: ids  # type: ignore[method-assign]
    samples = [dataset.sample(name) for name in ids]
    sizes = [sample.operators["overlap"].n_orbitals for sample in samples]
    print(f"{molecules} molecules, {min(sizes)} to {max(sizes)} orbitals, mean {np.mean(sizes):.0f}; {threads} threads")
    ready = [(s, s.operators["hamiltonian"].dense(), source.blocks[s.id].dense()) for s in samples]
    padded = [(s, padded_blocks(s, h), padded_blocks(s, p)) for s, h, p in ready]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        evaluate(dataset, source, threads=threads, cache=cache)  # the first model fills the cache
        results: dict[str, Any] = {}
        ours, loop, whole = [], [], []
        for _ in range(repeats):
            loop.append(timed(lambda: results.update(loop=public_loop(ready))))
            whole.append(timed(lambda: public_loop([(s, assembled(s, h), assembled(s, p)) for s, h, p in padded])))
            ours.append(timed(lambda: results.update(ours=evaluate(dataset, source, threads=threads, cache=cache))))
    agree(results["loop"], results["ours"].scores)
    for k, kind in enumerate(("wall", "CPU")):
        theirs, built, own = ([pair[k] for pair in pairs] for pairs in (loop, whole, ours))
        report(f"loop, matrices ready made, a molecule, {kind}", theirs, molecules)
        report(f"loop, matrices assembled as by the script, a molecule, {kind}", built, molecules)
        report(f"evaluate, a molecule, {kind}", own, molecules)
        ready_made, as_is = (statistics.median(x) / statistics.median(own) for x in (theirs, built))
        print(f"ratio of medians, {kind}: {as_is:.1f} (with matrices ready made {ready_made:.1f})")
    solver(ready, repeats)


class Noisy:
    """Reference Hamiltonians with noise, in memory."""

    operators = ("hamiltonian",)

    def __init__(self, dataset: Any) -> None:
        from slembench.predictions import PredictionHeader

        rng, self.ids = np.random.default_rng(0), list(dataset.ids)
        self.attrs = PredictionHeader(dataset.name, dataset.fingerprint, "all", "noisy", dataset.basis, "Hartree")
        self.blocks = {}
        for name in self.ids:
            h = dataset.sample(name).operators["hamiltonian"]
            self.blocks[name] = replace(h, values=h.values + 1e-4 * rng.normal(size=len(h.values))).hermitise()

    def __getitem__(self, name: str) -> dict[str, Any]:
        return {"hamiltonian": self.blocks[name]}


def padded_blocks(sample: Any, matrix: np.ndarray) -> Any:
    """(N * N, 14, 14) blocks of all pairs, rows and columns of H spread as the script does."""
    import torch

    first = sample.basis.orbital_offsets(sample.atoms.numbers)
    masks = [HYDROGEN if z == 1 else range(14) for z in sample.atoms.numbers.tolist()]
    blocks = np.zeros((len(masks) ** 2, 14, 14))
    for p, (i, j) in enumerate(np.ndindex(len(masks), len(masks))):
        part = matrix[first[i] : first[i + 1], first[j] : first[j + 1]]
        blocks[p][np.ix_(list(masks[i]), list(masks[j]))] = part
    return torch.from_numpy(blocks)


def assembled(sample: Any, blocks: Any) -> np.ndarray:
    """The matrix again, pair by pair: find the pair's block, select its rows and columns, put them together."""
    import torch

    numbers = sample.atoms.numbers.tolist()
    masks = {1: torch.tensor(HYDROGEN), 6: torch.arange(14)}
    source, target = (torch.tensor(part) for part in zip(*np.ndindex(len(numbers), len(numbers))))
    columns = []
    for j, z_j in enumerate(numbers):
        column = []
        for i, z_i in enumerate(numbers):
            number = torch.where((source == i) & (target == j))[0].item()
            rows = blocks[number].index_select(-2, masks[1 if z_i == 1 else 6])
            column.append(rows.index_select(-1, masks[1 if z_j == 1 else 6]))
        columns.append(torch.cat(column, dim=-2))
    return torch.cat(columns, dim=-1).numpy()


def public_loop(ready: list[tuple[Any, np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Means over molecules of QH9's errors, one molecule at a time."""
    import pyscf
    import torch

    from slembench.data.pyscf import canonical

    total: dict[str, float] = {}
    for sample, reference, predicted in ready:
        molecule = pyscf.gto.Mole()
        places = list(zip(sample.atoms.numbers.tolist(), sample.atoms.positions))
        molecule.build(verbose=0, atom=places, basis="def2svp", unit="ang")
        s = torch.from_numpy(canonical(molecule.intor("int1e_ovlp"), molecule))[None]
        h, p = (torch.from_numpy(matrix)[None] for matrix in (reference, predicted))
        (e_p, c_p), (e_h, c_h) = canonical_orbitals(s, p), canonical_orbitals(s, h)
        n = int(sample.atoms.numbers.sum() / 2)
        errors = {
            "hamiltonian.mae_all.full.per_structure": (p - h).abs().mean(),
            "hamiltonian.eps_mae_occ": (e_p[:, :n] - e_h[:, :n]).abs().mean(),
            "hamiltonian.homo_mae": (e_p[:, n - 1] - e_h[:, n - 1]).abs().mean(),
            "hamiltonian.lumo_mae": (e_p[:, n] - e_h[:, n]).abs().mean(),
            "hamiltonian.psi_cos_legacy": torch.cosine_similarity(c_p[..., :n], c_h[..., :n], dim=1).abs().mean(),
        }
        for name, value in errors.items():
            total[name] = total.get(name, 0.0) + float(value) / len(ready)
    return total


def canonical_orbitals(s: Any, h: Any) -> tuple[Any, Any]:
    import torch

    values, vectors = torch.linalg.eigh(s)
    half = vectors / values.clamp(min=1e-8).sqrt().unsqueeze(-2)
    energies, inner = torch.linalg.eigh(torch.bmm(torch.bmm(half.mT, h), half))
    return energies, torch.bmm(half, inner)


def solver(ready: list[tuple[Any, np.ndarray, np.ndarray]], repeats: int) -> None:
    """Levels and overlaps in the reference basis against one call of sygvd, CPU seconds on one thread."""
    import scipy.linalg

    from slembench.metrics.spectrum import blas_threads, in_reference_basis, orbitals

    cases = [(p, s.operators["overlap"].dense(), h) for s, h, p in ready[:100]]
    with blas_threads(1):
        known = [(p - h, *orbitals(h, s)) for p, s, h in cases]
        ours = [cpu(lambda: [in_reference_basis(*case) for case in known]) for _ in range(repeats)]
        bare = [cpu(lambda: [scipy.linalg.eigh(p, s, driver="gvd") for p, s, _ in cases]) for _ in range(repeats)]
    report("solver, a molecule (CPU)", ours, len(cases))
    report("bare LAPACK sygvd (CPU)", bare, len(cases))
    print(f"solver / LAPACK: {statistics.median(ours) / statistics.median(bare):.2f}")


def agree(loop: dict[str, float], scores: dict[str, Any]) -> None:
    """Show that both computed the same numbers."""
    for name, value in loop.items():
        print(f"{name}: loop {value:.9g}, ours {scores[name].value:.9g}")


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds; of the two, CPU time does not notice a busy machine."""
    begun = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def cpu(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def report(name: str, seconds: list[float], count: int) -> None:
    each = sorted(1e3 * value / count for value in seconds)
    print(f"{name}: {statistics.median(each):.2f} ms (of {len(each)}: {each[0]:.2f} to {each[-1]:.2f})")


if __name__ == "__main__":
    main()
