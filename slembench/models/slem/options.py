"""From the options that a DeePTB checkpoint carries to an untrained model of ours of the same shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ase.data import atomic_numbers, chemical_symbols
from e3nn import o3
from e3nn.math import normalize2mom

from slembench.core.config import parse_config
from slembench.core.errors import ConfigError
from slembench.models.lem.model import Lem
from slembench.models.pair_frame import PairFrameModel
from slembench.models.slem.model import Slem
from slembench.nn.heads import ACTIVATIONS
from slembench.nn.layers import ActivationFactors
from slembench.operators.orbitals import SHELL_LETTERS, Basis

METHODS: dict[str, type[PairFrameModel]] = {"slem": Slem, "lem": Lem}

ONLY = {
    "embedding": {"cutoff_type": "polynomial", "res_update": True, "universal": False},
    "prediction": {"method": "e3tb", "if_batch_normalized": False},
}
"""Options of which one value alone has a counterpart here."""


def model_of(config: Mapping[str, Any], where: str) -> PairFrameModel:
    """Model of the shape that a checkpoint's ``config`` describes, its parameters as they come, float64.

    Args:
        config: ``model_options`` and ``common_options`` as dptb 2.2 stores them.
        where: file, for errors.

    Raises:
        ConfigError: an option that is missing, unknown, or has a value without a counterpart; names it and says why.
    """
    options, common = config["model_options"], config["common_options"]
    kinds = sorted(set(options) & {"nnsk", "dftbsk"})
    if kinds:
        raise ConfigError(f"{where}: a Slater-Koster model ({kinds[0]}) cannot be imported, only slem and lem (E3) can")
    for part, allowed in ONLY.items():
        for key, value in allowed.items():
            if options[part].get(key, value) != value:
                found = options[part][key]
                raise ConfigError(f"{where}: {part}.{key} = {found!r} cannot be imported, only {value!r} can")
    embedding, prediction = options["embedding"], options["prediction"]
    method = embedding.get("method")
    if method not in METHODS:
        raise ConfigError(f"{where}: embedding.method = {method!r} cannot be imported, only {', '.join(METHODS)} can")
    _check_irreps(str(embedding.get("irreps_hidden")), where)
    basis = read_basis(common["basis"], where)
    overlap = bool(common.get("overlap", False))
    kind = METHODS[method]
    try:
        values = _settings(embedding) | (_head(prediction, where) if overlap else {})
    except KeyError as error:
        raise ConfigError(f"{where}: option embedding.{error.args[0]} is missing; dptb train writes it") from None
    settings = parse_config(kind.Config, values, where)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        # built in float64: parameters are overwritten, but constants are computed here
        targets = ("hamiltonian", "overlap") if overlap else ("hamiltonian",)
        return kind(settings, basis, _cutoffs(embedding["r_max"], basis, where), targets)
    finally:
        torch.set_default_dtype(default)


def _check_irreps(irreps: str, where: str) -> None:
    """Weights follow the order in which irreps were written; the one that is understood is e3nn's own."""
    try:
        ordered = o3.Irreps(irreps).sort().irreps.simplify()
    except (ValueError, AssertionError) as error:
        raise ConfigError(f"{where}: embedding.irreps_hidden = {irreps!r}: {error}") from None
    if o3.Irreps(irreps) != ordered:
        raise ConfigError(
            f"{where}: embedding.irreps_hidden = {irreps!r} cannot be imported: its weights stand in another "
            f"order than those of {ordered} (l ascending, odd before even, each once)"
        )


def read_basis(stored: Mapping[str, str | Sequence[str]], where: str) -> Basis:
    """Basis from ``{"Si": "1s1p"}`` or ``{"Si": ["3s", "3p", "d*"]}``; DeePTB sorts shells by l as we do.

    Raises:
        ConfigError: a basis that is neither.
    """
    try:
        spec = {
            symbol: shells if isinstance(shells, str) else [_angular_momentum(shell) for shell in shells]
            for symbol, shells in stored.items()
        }
        return Basis.parse(spec)
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{where}: common_options.basis {stored!r}: {error}") from None


def _angular_momentum(shell: str) -> int:
    letters = [c for c in shell if c.isalpha()]
    if len(letters) != 1 or letters[0] not in SHELL_LETTERS:
        raise ValueError(f"{shell!r} names no shell")
    return SHELL_LETTERS.index(letters[0])


def _cutoffs(stored: float | Mapping[str, float], basis: Basis, where: str) -> dict[int, float]:
    """Radius of each element; DeePTB's pair cutoff is half the sum of both ends', as here."""
    # one number for all elements, or one for each
    radii = stored if isinstance(stored, Mapping) else dict.fromkeys(("every element",), stored)
    for name, radius in radii.items():
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 < radius < math.inf:
            raise ConfigError(f"{where}: embedding.r_max of {name} is {radius!r}, not a length in Angstrom")
    if not isinstance(stored, Mapping):
        return dict.fromkeys(basis.elements, float(stored))
    wanted = {chemical_symbols[z] for z in basis.elements}
    if set(stored) != wanted:
        raise ConfigError(
            f"{where}: embedding.r_max names {', '.join(sorted(stored))}, the basis {', '.join(sorted(wanted))}; "
            "one radius for each element of the basis is what can be imported"
        )
    return {atomic_numbers[symbol]: float(radius) for symbol, radius in stored.items()}


def _settings(embedding: Mapping[str, Any]) -> dict[str, Any]:
    """Our configuration; activation factors are those of e3nn, which dptb uses."""
    radial = embedding["tp_radial_channels"] if embedding["tp_radial_emb"] else [None]
    ratio = embedding["res_update_ratios"]
    return {
        "symmetry": "SO3",
        "irreps_hidden": embedding["irreps_hidden"],
        "init_multiplicity": embedding["env_embed_multiplicity"],
        "n_layers": embedding["n_layers"],
        "n_bessel": embedding["n_radial_basis"],
        "envelope_power": embedding["PolynomialCutoff_p"],
        "latent_dim": embedding["latent_dim"],
        "latent_channels": embedding["latent_channels"],
        "radial_channels": radial[0] if len(radial) == 1 else radial,  # several widths: refused by the configuration
        "residual_ratio": 0.5 if ratio is None else ratio,
        "learnable_residual": embedding["res_update_ratios_learnable"],
        "pair_bias": True,
        "pair_shifts": True,
        "activation_factors": ActivationFactors(
            float(normalize2mom(torch.nn.functional.silu).cst), float(normalize2mom(torch.sigmoid).cst)
        ),
    }


def _head(prediction: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings of the overlap head."""
    activation = prediction.get("activation")
    if activation not in ACTIVATIONS:
        raise ConfigError(
            f"{where}: prediction.activation = {activation!r} cannot be imported, only {', '.join(ACTIVATIONS)} can"
        )
    return {"overlap_channels": prediction["neurons"], "overlap_residual": activation}
