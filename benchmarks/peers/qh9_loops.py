"""QH9 as its authors' loader handles it, written anew from a description of that algorithm (divelab/AIRS, QHBench).

At each access the record is fetched, the p shells of the whole matrix are put in order, and two Python loops over the
atoms cut it into blocks: each is copied into its slots of a 14 x 14 tensor of zeros with a mask of the same size, the
blocks on the diagonal and off it are stacked, and a batch joins the graphs of torch-geometric.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import lmdb
import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch, Data

SLOTS = {z: torch.tensor([0, 1, 3, 4, 5]) if z == 1 else torch.arange(14) for z in (1, 6, 7, 8, 9)}
"""Atomic number -> places of its orbitals in a padded block."""

SHELLS = {z: "ssp" if z == 1 else "sssppd" for z in SLOTS}
"""Atomic number -> its shells in the file."""

WITHIN = {"s": [0], "p": [1, 2, 0], "d": [0, 1, 2, 3, 4]}
"""Shell -> PySCF's orbital of each canonical one: p = x, y, z becomes y, z, x."""

Fetch = Callable[[int], dict]


def fetch_sqlite(path: Path) -> Fetch:
    """Record of a row of the sqlite file, by id."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    query = "SELECT id, N, Z, pos, Ham FROM data WHERE id = ?"

    def fetch(number: int) -> dict:
        row = connection.execute(query, (number,)).fetchone()
        return dict(zip(("id", "num_nodes", "atoms", "pos", "Ham"), row))

    return fetch


def fetch_lmdb(path: Path) -> Fetch:
    """Record of a key of the LMDB copy; the environment is opened for each record, as theirs is."""

    def fetch(number: int) -> dict:
        environment = lmdb.open(str(path), readonly=True, lock=False)
        with environment.begin() as transaction:
            record = pickle.loads(transaction.get(number.to_bytes(4, "big")))
        environment.close()
        return record

    return fetch


def write_lmdb(path: Path, fetch: Fetch, count: int) -> None:
    """The LMDB copy that their loader makes of a sqlite file once."""
    environment = lmdb.open(str(path), map_size=1 << 36)
    for number in range(count):
        with environment.begin(write=True) as transaction:
            transaction.put(number.to_bytes(4, "big"), pickle.dumps(fetch(number)))
    environment.close()


def graph(record: dict) -> Data:
    """One molecule with its blocks and masks."""
    atoms = np.frombuffer(record["atoms"], np.int32)
    positions = np.frombuffer(record["pos"], np.float64).reshape(-1, 3)
    size = sum(5 if z == 1 else 14 for z in atoms)
    matrix = in_order(np.frombuffer(record["Ham"], np.float64).reshape(size, size), atoms)
    onsite, onsite_mask, pair, pair_mask, edges = cut(torch.tensor(matrix), atoms)
    return Data(
        pos=torch.tensor(positions),
        atoms=torch.tensor(atoms, dtype=torch.int64).view(-1, 1),
        onsite=onsite,
        onsite_mask=onsite_mask,
        pair=pair,
        pair_mask=pair_mask,
        edge_index=edges,
    )


def in_order(matrix: NDArray[np.float64], atoms: NDArray[np.int32]) -> NDArray[np.float64]:
    """The matrix with every p shell as y, z, x: an index and a sign for each shell, one after the other."""
    shells = "".join(SHELLS[z] for z in atoms)
    index: list[NDArray[np.int64]] = []
    signs = []
    for shell in shells:
        index.append(np.array(WITHIN[shell]) + sum(map(len, index)))
        signs.append(np.ones(len(WITHIN[shell]), dtype=np.int64))
    order, sign = np.concatenate(index), np.concatenate(signs)
    return matrix[order, :][:, order] * sign[:, None] * sign[None, :]


def cut(matrix: torch.Tensor, atoms: NDArray[np.int32]) -> tuple[torch.Tensor, ...]:
    """Padded blocks and masks on and off the diagonal, and (row atom, column atom) of the latter, column by column."""
    onsite, onsite_mask, pair, pair_mask, edges = [], [], [], [], []
    column = 0
    for i, z_i in enumerate(atoms):
        row, across = 0, SLOTS[z_i.item()]
        for j, z_j in enumerate(atoms):
            down = SLOTS[z_j.item()]
            block, mask = torch.zeros(14, 14).double(), torch.zeros(14, 14).double()
            rows = block[down]
            rows[:, across] = matrix[row : row + len(down), column : column + len(across)]
            block[down] = rows
            rows = mask[down]
            rows[:, across] = 1
            mask[down] = rows
            if i == j:
                onsite.append(block)
                onsite_mask.append(mask)
            else:
                edges.append([j, i])
                pair.append(block)
                pair_mask.append(mask)
            row += len(down)
        column += len(across)
    return *map(torch.stack, (onsite, onsite_mask, pair, pair_mask)), torch.tensor(edges).T


def batches(fetch: Fetch, order: Sequence[int], size: int) -> Iterator[Batch]:
    """Batches of an epoch."""
    for first in range(0, len(order), size):
        yield Batch.from_data_list([graph(fetch(number)) for number in order[first : first + size]])
