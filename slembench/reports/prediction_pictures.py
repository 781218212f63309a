"""Pictures of a run that compare its predictions with the reference operators of the data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from slembench.core.errors import DataError, PredictionError
from slembench.data import Dataset, Sample, load_dataset
from slembench.figures.element_parity import element_density, plot_element_parity
from slembench.figures.level_parity import plot_level_parity
from slembench.figures.levels import plot_dos
from slembench.figures.picture import Picture
from slembench.figures.sparsity import plot_sparsity
from slembench.inference.bands import Spectrum, draw_bands, mean_dos, structure_path, zero_name
from slembench.metrics.dos import BROADENING_EV
from slembench.metrics.matrix import align_hermitian
from slembench.operators import SYMBOLS
from slembench.operators.blocks import BlockMatrix
from slembench.operators.units import energy_factor
from slembench.predictions import read_predictions
from slembench.predictions.format import PREDICTIONS_FILE
from slembench.reports.dataset_pictures import LEVELS_EV, filled_spectrum
from slembench.reports.run_folder import SplitResult
from slembench.reports.run_pictures import worst_structure

MAX_STRUCTURES = {"elements": 40, "levels": 16}
"""Largest number of structures that are read for a picture, evenly spaced over the split."""

PATH_SPACING = 0.06
"""Distance of k points along a band path, 1 / Angstrom (with the factor 2 pi)."""

BAND_WINDOW_EV = 5.0

_TITLES = {
    "levels": "Predicted levels over reference ones",
    "dos": "Density of states over reference",
    "bands": "Bands over reference ones",
}


def prediction_pictures(result: SplitResult) -> list[Picture]:
    """Element densities, error maps, level parity and (crystals) densities of states; each says what it lacks."""
    try:
        reader = _Reader(result)
    except (DataError, PredictionError) as error:
        return [Picture(name, title, "", None, str(error)) for name, title in _expected(result)]
    pictures = []
    for operator in result.record.targets:
        pictures += [reader.elements(operator), reader.error_map(operator)]
    return [*pictures, *reader.spectra()]


def _expected(result: SplitResult) -> list[tuple[str, str]]:
    """Names and titles of the pictures there would be."""
    own = [pair for op in result.record.targets for pair in (_elements_name(op), _map_name(op))]
    return own + ([("levels", _TITLES["levels"])] if "hamiltonian" in result.record.targets else [])


def _elements_name(operator: str) -> tuple[str, str]:
    return f"elements-{operator}", f"Predicted elements of {SYMBOLS[operator]} over reference ones"


def _map_name(operator: str) -> tuple[str, str]:
    return f"map-{operator}", f"Where {SYMBOLS[operator]} is wrong"


class _Reader:
    """Reference and predicted operators of the structures of one result."""

    def __init__(self, result: SplitResult) -> None:
        if result.no_predictions:
            raise DataError(result.no_predictions)
        self.result, self.record = result, result.record
        self.dataset = self._dataset()
        self.card = self.dataset.card
        self.unit = self.card.units.energy
        self.ev = energy_factor("eV", self.unit)
        with read_predictions(result.folder / PREDICTIONS_FILE) as predictions:
            present = set(predictions.ids)
            self.factor = energy_factor(predictions.attrs.energy_unit, self.unit)
        self.ids = [name for name in self.dataset.split(self.record.split) if name in present]
        if not self.ids:
            raise PredictionError(f"{PREDICTIONS_FILE} holds no structure of the split {self.record.split}")

    def _dataset(self) -> Dataset:
        dataset = load_dataset(self.record.dataset)
        # predictions of one revision beside references of another would look like errors of the model
        if dataset.fingerprint != self.record.dataset_fingerprint:
            raise DataError(f"data set {dataset.name} on this machine has other data than the record was made with")
        return dataset

    def pairs(self, operator: str, ids: Sequence[str]) -> Iterator[tuple[Sample, BlockMatrix, BlockMatrix]]:
        """Sample, reference and predicted operator on the scored pairs, in the data set's unit."""
        factor = self.factor if operator == "hamiltonian" else 1.0  # S and D have no unit
        with read_predictions(self.result.folder / PREDICTIONS_FILE) as predictions:
            for name in ids:
                sample = self.dataset.sample(name)
                index, shift = self.dataset.pairs(sample)
                # on the scored pairs, in both directions; blocks that the file does not hold count as zero
                reference, _ = align_hermitian(sample.operators[operator], index, shift)
                predicted, _ = align_hermitian(predictions[name][operator] * factor, index, shift)
                yield sample, reference, predicted

    def spaced(self, kind: str) -> list[str]:
        """Structures that are read for a picture."""
        most = MAX_STRUCTURES[kind]
        # unique: rounding may name an index twice
        places = np.unique(np.linspace(0, len(self.ids) - 1, min(most, len(self.ids))).round().astype(int))
        return [self.ids[place] for place in places.tolist()]

    def operator_unit(self, operator: str) -> str:
        """Unit of an operator's elements."""
        return self.unit if operator == "hamiltonian" else "1"

    def elements(self, operator: str) -> Picture:
        """Histogram of predicted against reference elements."""
        ids = self.spaced("elements")
        symbol = SYMBOLS[operator]
        caption = (
            f"Left: predicted against reference elements of {symbol}, scored pairs of {len(ids)} of {len(self.ids)} "
            "structures. Right: magnitude of the error against that of the element, and the median error."
        )

        def draw() -> Figure:
            # one pass for the axis, one for the counts: elements of all structures need not fit into memory
            largest = max(float(np.abs(self.dataset.sample(name).operators[operator].values).max()) for name in ids)
            values = ((reference.values, predicted.values) for _, reference, predicted in self.pairs(operator, ids))
            return plot_element_parity(element_density(values, largest), operator, self.operator_unit(operator))

        return Picture(*_elements_name(operator), caption, draw)

    def error_map(self, operator: str) -> Picture:
        """Map of the error in the structure with the largest MAE."""
        worst = worst_structure(self.result, operator)
        chosen = worst if worst in self.ids else self.ids[0]
        caption = (
            f"{chosen}, the worst structure. Left: magnitude of the error between its orbitals. Right: share of "
            "elements above a threshold, of the error and of the operator itself."
        )

        def draw() -> Figure:
            _, reference, predicted = next(self.pairs(operator, [chosen]))
            symbol = SYMBOLS[operator]
            parts = {
                f"Δ{symbol}": predicted - reference,
                f"predicted {symbol}": predicted,
                f"reference {symbol}": reference,
            }
            return plot_sparsity(parts, self.operator_unit(operator), chosen)

        return Picture(*_map_name(operator), caption, draw)

    def spectra(self) -> list[Picture]:
        """Level parity and, for crystals, densities of states."""
        if "hamiltonian" not in self.record.targets:
            return []
        if "overlap" not in self.card.operators:
            return [
                Picture("levels", _TITLES["levels"], "", None, "The data set has no overlap, so there are no levels.")
            ]
        ids = self.spaced("levels")
        mesh = "x".join(map(str, self.card.bands.kmesh)) if self.card.periodic and self.card.bands else ""
        where = f"{len(ids)} of {len(self.ids)} structures" + (f" on the {mesh} k mesh" if mesh else "")
        caption = (
            f"Levels of the predicted H with the reference S against reference levels, {where}, within "
            f"{LEVELS_EV[0]:g} eV below and {LEVELS_EV[1]:g} eV above the highest occupied one; energies as they are."
        )
        pictures = [Picture("levels", _TITLES["levels"], caption, lambda: self._draw_levels(ids))]
        if self.card.periodic:
            caption = (
                f"Mean density of states of {where}, both spins, each from its own highest occupied level, Gaussian of "
                f"{BROADENING_EV:g} eV."
            )
            pictures.append(Picture("dos", _TITLES["dos"], caption, lambda: self._draw_dos(ids)))
            pictures.append(self._bands(ids[0]))
        return pictures

    def _bands(self, chosen: str) -> Picture:
        """Bands and density of states of one structure, along the recommended path of its cell."""
        # read here, not in draw(): the caption names the path, whose symmetry comes from the structure
        sample, reference, predicted = next(self.pairs("hamiltonian", [chosen]))
        path = structure_path(sample.atoms, PATH_SPACING)
        caption = (
            f"{chosen}, along the path of {path.space_group}, and its density of states; both from their own highest "
            "occupied level, or from their Fermi levels where the reference is a metal."
        )

        def draw() -> Figure:
            operators = {"predicted": predicted, "reference": reference}
            spectra = {name: filled_spectrum(self.card, sample, h, path) for name, h in operators.items()}
            return draw_bands(path, spectra, (-BAND_WINDOW_EV, BAND_WINDOW_EV))

        return Picture("bands", _TITLES["bands"], caption, draw)

    def _spectra(self, ids: Sequence[str]) -> tuple[list[Spectrum], list[Spectrum]]:
        """Reference and predicted levels, both with the reference S."""
        spectra = [
            (filled_spectrum(self.card, sample, ref), filled_spectrum(self.card, sample, pred))
            for sample, ref, pred in self.pairs("hamiltonian", ids)
        ]
        return [ref for ref, _ in spectra], [pred for _, pred in spectra]

    def _draw_levels(self, ids: Sequence[str]) -> Figure:
        down, up = (end * self.ev for end in LEVELS_EV)
        parts = []
        for ref, pred in zip(*self._spectra(ids)):
            assert ref.filling is not None
            top = ref.filling.valence_top
            # NaN: a direction that was projected out of a nearly singular S, which comparisons leave out of ref.eps
            shown = (ref.eps > top - down) & (ref.eps < top + up) & np.isfinite(pred.eps)
            occupied = np.broadcast_to(np.arange(ref.eps.shape[1]) < ref.filling.occupied, shown.shape)
            parts.append((ref.eps[shown], pred.eps[shown], occupied[shown]))
        reference_levels, predicted_levels, filled = (np.concatenate(column) for column in zip(*parts))
        return plot_level_parity(reference_levels, predicted_levels, filled, self.unit)

    def _draw_dos(self, ids: Sequence[str]) -> Figure:
        reference, predicted = self._spectra(ids)
        # the reference decides for both; see `slembench.inference.bands.Spectrum.zero`
        insulating = all(s.insulating for s in reference)
        densities = (mean_dos(spectra, insulating) for spectra in (reference, predicted))
        return plot_dos(next(densities), self.unit, zero_name(insulating), next(densities))
