"""Matrix metrics in plain Python loops over blocks and elements: what the package's way without loops must equal."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class PlainSums:
    """|Delta| of every element, and the number of scored elements."""

    sizes: list = field(default_factory=list)
    count: int = 0

    def content(self):
        return sum(self.sizes), sum(x * x for x in self.sizes), self.count, max(self.sizes, default=0.0)


def blocks_of(operator):
    """(i, j, R) -> block, both directions: one that is absent is the conjugate transpose of the other."""
    blocks = {}
    for p, ((i, j), shift) in enumerate(zip(operator.pair_index.tolist(), operator.pair_shift.tolist())):
        n_i, n_j = (operator.basis.size(operator.numbers[atom]) for atom in (i, j))
        start = operator.offsets[p]
        blocks[i, j, tuple(shift)] = operator.values[start : start + n_i * n_j].reshape(n_i, n_j)
    for (i, j, shift), block in list(blocks.items()):
        blocks.setdefault((j, i, tuple(-x for x in shift)), block.conj().T)
    return blocks


def errors_of(prediction, reference, pair_index, pair_shift):
    """(i, j, R) -> Delta of the scored pairs, and those of the extra predicted pairs."""
    pred, ref = blocks_of(prediction), blocks_of(reference)
    wanted = [(i, j, tuple(shift)) for (i, j), shift in zip(pair_index.tolist(), pair_shift.tolist())]
    zero = {k: np.zeros([prediction.basis.size(prediction.numbers[a]) for a in k[:2]]) for k in [*wanted, *pred]}
    scored = {key: pred.get(key, zero[key]) - ref.get(key, zero[key]) for key in wanted}
    return scored, {key: block for key, block in pred.items() if key not in scored}


def united_numbers(basis):
    """Atomic number -> for every orbital the number of its shell in the united list, found by counting."""
    most = {}
    for shells in basis.shells.values():
        for l in shells:
            most[l] = max(most.get(l, 0), shells.count(l))
    united = [(l, n) for l in sorted(most) for n in range(most[l])]
    numbers = {}
    for z, shells in basis.shells.items():
        seen, numbers[z] = {}, []
        for l in shells:
            n = seen[l] = seen.get(l, -1) + 1
            numbers[z] += [united.index((l, n))] * (2 * l + 1)
    return numbers


def sums_of(scored, extra, numbers, basis):
    """(part, counting) -> sums, element by element."""
    united = united_numbers(basis)
    sums = {(part, counting): PlainSums() for part in ("onsite", "offsite") for counting in ("full", "reduced")}
    for counted, blocks in ((1, scored), (0, extra)):
        for (i, j, shift), block in blocks.items():
            part = "onsite" if i == j and not any(shift) else "offsite"
            for a, b in np.ndindex(*block.shape):
                kept = ["full"]
                if united[numbers[i]][a] <= united[numbers[j]][b]:
                    kept.append("reduced")
                for counting in kept:
                    sums[part, counting].sizes.append(abs(block[a, b]))
                    sums[part, counting].count += counted
    return {key: value.content() for key, value in sums.items()}


def gauge_of(scored, extra, overlap):
    """mu = Re sum <Delta, S> / sum <S, S> over all blocks, and Delta - mu S of the scored ones."""
    s = blocks_of(overlap)
    every = scored | extra
    product = sum((s[key].conj() * block).sum().real for key, block in every.items() if key in s)
    mu = product / sum((abs(s[key]) ** 2).sum() for key in every if key in s)
    return mu, {key: block - mu * s[key] if key in s else block for key, block in scored.items()}
