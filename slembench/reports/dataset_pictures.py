"""The four pictures of a data set's page: a structure, sparsity, decay and spectrum of a few of its structures."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from slembench.core.errors import DataError
from slembench.data import Card, Dataset, Sample
from slembench.figures.decay import block_norms, plot_decay
from slembench.figures.levels import Levels, plot_dos, plot_levels
from slembench.figures.picture import Picture
from slembench.figures.sparsity import plot_sparsity
from slembench.figures.structure import plot_structure
from slembench.inference.bands import Spectrum, mean_dos, spectrum, zero_name
from slembench.metrics.dos import BROADENING_EV
from slembench.metrics.kpath import KPath
from slembench.operators import SYMBOLS
from slembench.operators.blocks import BlockMatrix
from slembench.operators.units import energy_factor

EXAMPLES = 8
"""Largest number of structures that are read for the pictures."""

LEVELS_EV = (30.0, 10.0)
"""How deep below the highest occupied level, and how high above it (or above the LUMO), levels are drawn."""


def dataset_pictures(dataset: Dataset) -> list[Picture]:
    """Structure, sparsity, block norm against distance, and spectrum, not drawn yet.

    Raises:
        DataError: broken data.
    """
    split, samples = _examples(dataset)
    card, largest = dataset.card, max(samples, key=lambda sample: len(sample.atoms))
    unit, several = card.units.energy, f"{len(samples)} structures of the split {split}"
    letters = ", ".join(SYMBOLS[op] for op in card.operators)
    cell = "; dashed: the cell" if card.periodic else ""

    # drawn later, if at all: the text of a page needs no picture
    def decay() -> Figure:
        norms = block_norms((sample.atoms, sample.operators) for sample in samples)
        return plot_decay(norms, unit, _noise(card), f"{len(samples)} structures")

    return [
        Picture(
            "structure",
            "A structure",
            f"`{largest.id}` of the split {split}, {len(largest.atoms)} atoms, {_orbitals(largest)} orbitals{cell}.",
            lambda: plot_structure(largest.atoms, largest.id),
        ),
        Picture(
            "sparsity",
            "Sparsity",
            f"`{largest.id}`. Left: magnitude of H between its orbitals, white where it is zero or more than six "
            f"decades below the largest. Right: share of the stored elements of {letters} above a threshold.",
            lambda: plot_sparsity(largest.operators, unit, largest.id),
        ),
        Picture(
            "decay",
            "Block norm against distance",
            f"Root mean square element of every block of {letters} in {several}"
            + ("; noise: the numerical noise of the card." if _noise(card) else "."),
            decay,
        ),
        _spectrum_picture(card, samples, several),
    ]


def example_split(splits: Iterable[str]) -> str:
    """Split that examples are taken from: the test split, or the first one.

    Example:
        >>> example_split(["train", "val", "test"]), example_split(["all"])
        ('test', 'all')
    """
    names = list(splits)
    return "test" if "test" in names else names[0]


def _examples(dataset: Dataset) -> tuple[str, list[Sample]]:
    """Split and structures that are drawn: first one of every composition, then what follows."""
    split = example_split(dataset.splits)
    # one structure of every composition, so that a set of many molecules does not show one of them eight times
    first: dict[str, Sample] = {}
    others: list[Sample] = []
    for sample in dataset.iterate(dataset.split(split)):
        formula = sample.atoms.get_chemical_formula()
        if formula not in first:
            first[formula] = sample
        elif len(others) < EXAMPLES:
            others.append(sample)
        if len(first) == EXAMPLES:
            break
    return split, [*first.values(), *others][:EXAMPLES]


def _orbitals(sample: Sample) -> int:
    return int(sample.basis.sizes(sample.atoms.numbers).sum())


def _noise(card: Card) -> dict[str, float]:
    """Operator -> root mean square noise, of those that the card states in the unit of the data."""
    found: dict[str, float] = {}
    for operator in card.operators:
        key = f"{operator}_rms_{card.units.energy}" if operator == "hamiltonian" else f"{operator}_rms"
        value = card.numerical_noise.get(key)
        if isinstance(value, float):
            found[operator] = value
    return found


def _spectrum_picture(card: Card, samples: list[Sample], several: str) -> Picture:
    unit = card.units.energy
    if not {"hamiltonian", "overlap"} <= set(card.operators):
        return Picture("spectrum", "Spectrum", "", None, "The data set holds no overlap, so there are no levels.")
    if card.periodic:
        mesh = "x".join(map(str, card.bands.kmesh)) if card.bands else "1x1x1"
        caption = (
            f"Density of states, mean of {several}, both spins; {mesh} k mesh, Gaussian of {BROADENING_EV:g} eV; "
            "filled: occupied."
        )
        return Picture("spectrum", "Density of states", caption, lambda: _dos(card, samples))
    down, up = (end * energy_factor("eV", unit) for end in LEVELS_EV)
    caption = f"Orbital energies of {several}; thick: HOMO and LUMO; written below: how many levels lie deeper."
    return Picture("spectrum", "Orbital energies", caption, lambda: plot_levels(_levels(card, samples), unit, down, up))


def _dos(card: Card, samples: list[Sample]) -> Figure:
    unit = card.units.energy
    spectra = [filled_spectrum(card, s, s.operators["hamiltonian"]) for s in samples]
    # one kind of zero for all: valence-band maxima and Fermi levels in one mean would smear the edges
    insulating = all(s.insulating for s in spectra)
    return plot_dos(mean_dos(spectra, insulating), unit, zero_name(insulating))


def _levels(card: Card, samples: list[Sample]) -> list[Levels]:
    columns = []
    for sample in samples:
        s = filled_spectrum(card, sample, sample.operators["hamiltonian"])
        assert s.filling is not None
        columns.append(Levels(sample.id, s.eps[0], s.filling.occupied))
    return columns


def filled_spectrum(card: Card, sample: Sample, hamiltonian: BlockMatrix, path: KPath | None = None) -> Spectrum:
    """Spectrum of an H with the reference S of its sample, on the card's k mesh; its filling is never None.

    Args:
        card: of the data set.
        sample: with the overlap and the number of electrons.
        hamiltonian: H, reference or predicted, in the unit of the data set.
        path: of bands; None for none.

    Raises:
        DataError: no number of electrons, or one that the basis cannot hold.
    """
    if not sample.info.electrons:
        raise DataError(f"data set {card.name}: {sample.id} has no number of electrons, so no level is the highest")
    # a molecule has Gamma alone; so has a crystal whose card names no mesh, such as one imported from files
    mesh = card.bands.kmesh if card.periodic and card.bands else (1, 1, 1)
    overlap, electrons = sample.operators["overlap"], sample.info.electrons
    return spectrum(hamiltonian, overlap, mesh, electrons, card.units.energy, path)
