"""Loading QH9: our readers beside the algorithm of the authors' loader, measured in the same run on one thread.

    python benchmarks/qh9_loading.py                                 # 2,000 molecules; about five minutes
    python benchmarks/qh9_loading.py --json benchmarks/records/qh9_loading.json

A QH9 file is made of the molecules of qh9-mini, each at slightly moved positions with a slightly changed Hamiltonian.
`random`: padded blocks and masks of one molecule after another, drawn at random; `epoch`: of all molecules in batches
of 32, shuffled. Both sides deliver the same tensors (that is checked first). Ours reads the sqlite file itself, its
LMDB copy, or the Parquet file that `slembench data convert` makes of it. The rounds go through all sides in turn;
times are of this process' CPU, files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402
from peers import qh9_loops  # noqa: E402

from slembench.data import Sample, load_dataset  # noqa: E402
from slembench.data.convert import Source, convert  # noqa: E402
from slembench.data.formats import write_samples  # noqa: E402
from slembench.data.formats.qh9.database import QH9Database  # noqa: E402
from slembench.data.padded import PaddedBlocks  # noqa: E402
from slembench.data.store import SampleStore, writer_options  # noqa: E402

BATCH = 32
Load = Callable[[Sequence[int]], object]


def molecules(count: int) -> Iterator[Sample]:
    """Molecules of qh9-mini in turn, moved by 0.01 Angstrom, Hamiltonians changed by 1e-4 Hartree."""
    dataset, rng = load_dataset("qh9-mini"), np.random.default_rng(0)
    for number in range(count):
        sample = dataset.sample(dataset.ids[number % len(dataset)])
        atoms, hamiltonian = sample.atoms.copy(), sample.operators["hamiltonian"]
        atoms.positions += rng.normal(0, 0.01, atoms.positions.shape)
        changed = hamiltonian.with_values(hamiltonian.values + rng.normal(0, 1e-4, len(hamiltonian.values)))
        yield replace(sample, id=str(number), atoms=atoms, operators={"hamiltonian": changed.hermitise()})


def tensors(blocks: PaddedBlocks) -> dict[str, torch.Tensor]:
    """Ours as torch tensors, under the names of the peer's graph."""
    onsite_mask, pair_mask = blocks.masks()
    arrays = {
        "atoms": blocks.numbers[:, None],
        "pos": blocks.positions,
        "batch": blocks.molecule,
        "edge_index": blocks.pair_index.T,
        "onsite": blocks.onsite,
        "onsite_mask": onsite_mask,
        "pair": blocks.pair,
        "pair_mask": pair_mask,
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def our_loads(db: Path, lmdb: Path, parquet: Path, cache: Path) -> dict[str, Load]:
    """Our roads: rows -> tensors of one batch."""
    sqlite, copy, store = QH9Database(db), QH9Database(lmdb), SampleStore([parquet], cache)
    return {
        "slembench sqlite": lambda rows: tensors(sqlite.batch(rows)),
        "slembench lmdb": lambda rows: tensors(copy.batch(rows)),
        "slembench parquet": lambda rows: tensors(store.padded(map(str, rows))),
    }


def peer_loads(db: Path, lmdb: Path) -> dict[str, Load]:
    """The peer's algorithm on both kinds of file; a single molecule stays the graph that its loader gives."""

    def load(fetch: qh9_loops.Fetch) -> Load:
        def one_or_many(rows: Sequence[int]) -> object:
            return next(qh9_loops.batches(fetch, rows, BATCH)) if len(rows) > 1 else qh9_loops.graph(fetch(rows[0]))

        return one_or_many

    return {"loops sqlite": load(qh9_loops.fetch_sqlite(db)), "loops lmdb": load(qh9_loops.fetch_lmdb(lmdb))}


PEER = {"sqlite": "loops sqlite", "lmdb": "loops lmdb", "parquet": "loops sqlite"}
"""Our road -> the peer that it is divided by."""


def check_equal(sides: dict[str, Load], rows: Sequence[int]) -> None:
    """All sides give the same numbers."""
    wanted = sides["loops sqlite"](rows)
    for name, load in sides.items():
        found = load(rows)
        for key in ("atoms", "pos", "batch", "edge_index", "onsite", "onsite_mask", "pair", "pair_mask"):
            if not torch.equal(found[key].to(wanted[key].dtype), wanted[key]):  # type: ignore[index]
                raise SystemExit(f"{name}: {key} differs from the peer's")


def rate(load: Load, parts: Sequence[Sequence[int]]) -> float:
    """Molecules a second of CPU time."""
    start = time.process_time()
    for part in parts:
        load(part)
    return sum(map(len, parts)) / (time.process_time() - start)


def speed(sides: dict[str, Load], count: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Rates of every side in every round."""
    rng, found = np.random.default_rng(1), {name: {"random": [], "epoch": []} for name in sides}
    for number in range(rounds):
        order = rng.permutation(count).tolist()
        batches = [order[first : first + BATCH] for first in range(0, count, BATCH)]
        for name, load in sides.items():
            found[name]["random"].append(rate(load, [[row] for row in order[: min(500, count)]]))
            found[name]["epoch"].append(rate(load, batches))
            print(f"round {number + 1}/{rounds}  {name:18s} {found[name]['epoch'][-1]:9.0f} /s", file=sys.stderr)
    return found


def conversion(db: Path, parquet: Path) -> dict[str, float]:
    """CPU seconds of `data convert`, and of compressing and writing the same table alone."""
    start, wall = time.process_time(), time.perf_counter()
    convert(Source(db), "parquet", parquet)
    total, wall = time.process_time() - start, time.perf_counter() - wall
    table = pq.read_table(parquet)
    seconds = {}
    for name, change in (("compressed", {}), ("plain", {"compression": "none", "compression_level": None})):
        start = time.process_time()
        with pq.ParquetWriter(parquet.with_suffix(".again"), table.schema, **{**writer_options(), **change}) as writer:
            for first in range(0, len(table), 2000):
                writer.write_table(table.slice(first, 2000))
        seconds[name] = time.process_time() - start
    parquet.with_suffix(".again").unlink()
    share = (seconds["compressed"] - seconds["plain"]) / total
    size = parquet.stat().st_size
    return {"cpu_s": total, "wall_s": wall, "compression_share": share, "bytes_in": db.stat().st_size, "bytes": size}


def memory_worker(kind: str, db: Path) -> None:
    """Print peak memory in MiB of one pass: anonymous memory, and all that is resident, mapped file pages included."""
    base = anonymous = status("RssAnon")
    if kind == "convert":
        convert(Source(db), "parquet", db.with_suffix(".parquet"))
        print(json.dumps({"resident": status("VmHWM")}))
        return
    if kind == "sqlite":
        load, count = our_loads_one(QH9Database(db))
    else:
        store = SampleStore([db.with_suffix(".parquet")], db.parent / "cache")
        load, count = (lambda rows: tensors(store.padded(map(str, rows)))), len(store)
    for first in range(0, count, BATCH):
        load(range(first, min(first + BATCH, count)))
        anonymous = max(anonymous, status("RssAnon"))
    print(json.dumps({"anonymous": anonymous - base, "resident": status("VmHWM")}))


def our_loads_one(database: QH9Database) -> tuple[Load, int]:
    """Load function of an opened database and its number of rows."""
    return (lambda rows: tensors(database.batch(rows))), len(database)


def status(key: str) -> float:
    """A line of /proc/self/status, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


def memory(folder: Path, counts: Sequence[int]) -> dict[str, dict[str, dict[str, float]]]:
    """Peaks of fresh processes for files of different sizes."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for count in counts:
        db = folder / f"m{count}.db"
        write_samples(molecules(count), db, "qh9")
        found[str(count)] = {}
        for kind in ("convert", "sqlite", "parquet"):
            command = [sys.executable, str(Path(__file__)), "--memory-of", kind, "--db", str(db)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[str(count)][kind] = json.loads(done.stdout.splitlines()[-1])
            print(f"{count} molecules, {kind}: {found[str(count)][kind]}", file=sys.stderr)
        for file in folder.glob(f"m{count}.*"):
            file.unlink()
    return found


def hardware() -> str:
    """Processor and number of cores."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")] or [platform.machine()]
    return f"{names[0]}, {os.cpu_count()} cores, one thread used"


def report(found: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Medians, and the median over rounds of each road's rate divided by its peer's; printed as a table."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'':20s} {'random /s':>10s} {'ratio':>20s} {'epoch /s':>10s} {'ratio':>20s}")
    for name, rates in found.items():
        peer, cells, table[name] = PEER.get(name.removeprefix("slembench ")), [], {}
        for kind, values in rates.items():
            entry = {"per_second": statistics.median(values)}
            cells.append(f"{entry['per_second']:10.0f}")
            ratios = [own / other for own, other in zip(values, found[peer][kind])] if peer else []
            if ratios:
                entry |= {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
            cells.append(f"{entry['ratio']:6.1f} ({min(ratios):.1f}-{max(ratios):.1f})" if ratios else "")
            table[name][kind] = entry
        print(f"{name:20s} {cells[0]} {cells[1]:>20s} {cells[2]} {cells[3]:>20s}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="*", default=[500, 2000, 8000], help="molecules; none to skip")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--memory-of", choices=["convert", "sqlite", "parquet"], help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.memory_of:
        memory_worker(args.memory_of, args.db)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        db, lmdb, parquet = folder / "q.db", folder / "q.lmdb", folder / "q.parquet"
        write_samples(molecules(args.molecules), db, "qh9")
        qh9_loops.write_lmdb(lmdb, qh9_loops.fetch_sqlite(db), args.molecules)
        made = conversion(db, parquet)
        sides = {**peer_loads(db, lmdb), **our_loads(db, lmdb, parquet, folder / "cache")}
        check_equal(sides, list(range(BATCH)))
        table = report(speed(sides, args.molecules, args.rounds))
        print(f"convert to Parquet: {made['cpu_s']:.1f} s of CPU, {made['compression_share']:.0%} of it compression")
        peaks = memory(folder, args.memory)
    for count, kinds in peaks.items():
        print(f"peak MiB, {count} molecules: " + ", ".join(f"{kind} {values}" for kind, values in kinds.items()))
    if args.json:
        record = {"hardware": hardware(), "molecules": args.molecules, "rounds": args.rounds}
        versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
        content = {**record, "versions": versions, "speed": table, "conversion": made, "memory_MiB": peaks}
        args.json.parent.mkdir(exist_ok=True)
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
