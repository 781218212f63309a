"""Our side of `slem_step.py`, in a process of its own: steps of SLEM or LEM, cost against lmax, cost of the S head."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from si64 import read_si64  # noqa: E402
from slem_cases import CASES, OVERLAP_HIDDEN, SIZES, timed  # noqa: E402

from slembench.models.graphs import model_graph  # noqa: E402
from slembench.models.lem.model import Lem  # noqa: E402
from slembench.models.pair_frame import PairFrameModel  # noqa: E402
from slembench.models.slem.model import Slem  # noqa: E402
from slembench.models.slem.weights import load_embedding  # noqa: E402
from slembench.nn.kernels.matmul import raw_matmul  # noqa: E402
from slembench.operators.orbitals import Basis  # noqa: E402
from slembench.training.numerics import keep_freed_memory, matmul_precision  # noqa: E402

BOTH = ("hamiltonian", "overlap")
CLASSES: dict[str, type[PairFrameModel]] = {"slem": Slem, "lem": Lem}


def build(
    method: str, case: dict, symmetry: str = "SO3", targets: Sequence[str] = BOTH, irreps: str | None = None
) -> PairFrameModel:
    """A model of the sizes that both sides share."""
    kind = CLASSES[method]
    config = kind.Config(
        symmetry=symmetry,
        irreps_hidden=irreps or case["irreps" if symmetry == "SO3" else "parity"],
        n_layers=SIZES["n_layers"],
        init_multiplicity=SIZES["init_multiplicity"],
        n_bessel=SIZES["n_bessel"],
        latent_dim=SIZES["latent_dim"],
        latent_channels=(SIZES["latent_hidden"],),
        radial_channels=SIZES["radial"],
        overlap_channels=(OVERLAP_HIDDEN, OVERLAP_HIDDEN),
        pair_bias=True,
    )
    return kind(config, Basis.parse({"Si": case["basis"]}), {14: case["cutoff"]}, targets)


def training_step(model: PairFrameModel, data: Path) -> tuple[Callable[[], None], int]:
    """Forward, loss, backward and update of a model on the structure; and its number of pairs."""
    graph = model_graph(model, read_si64(data, model.basis), torch.float32)
    model.fit_statistics([graph])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros(())
        for name, features in model(graph).items():
            for part, value in features._asdict().items():
                error = model.layout.to_elements(value - graph[f"{name}_{part}"])
                loss = loss + error.abs().mean() + error.square().mean().sqrt()
        loss.backward()
        optimizer.step()

    return step, graph.pair_index.shape[1]


def run_step(args: argparse.Namespace) -> dict:
    """Steps on one case, from the peer's weights where they are given."""
    model = build(args.method, CASES[args.case], args.symmetry)
    if args.weights:
        load_embedding(model, load_file(args.weights))
    step, pairs = training_step(model, args.data)
    figures = timed(step, args.steps)
    facts = {"parameters": model.n_parameters, "pairs": pairs, "torch": torch.__version__, "gflop": flops(step) / 1e9}
    return {**facts, **figures}


def run_lmax(args: argparse.Namespace) -> dict:
    """CPU seconds of a step with 16 channels for every l up to lmax; least of the steps."""
    seconds = {}
    for lmax in (2, 3, 4, 6, 8):
        irreps = "+".join(f"16x{l}{'eo'[l % 2]}" for l in range(lmax + 1))
        step, _ = training_step(build("slem", CASES["Si64"] | {"cutoff": 5.0}, irreps=irreps), args.data)
        seconds[lmax] = min(timed(step, 3 * args.steps)["cpu_s"])
    return {"cpu_s": seconds}


def run_overlap(args: argparse.Namespace) -> dict:
    """Share of the S head: raw_matmul-adds of the forward pass, and CPU time of steps with and without it in turn."""
    from scipy.stats import binom

    models = {targets: build("slem", CASES["Si64"], targets=targets) for targets in (BOTH, BOTH[:1])}
    steps = {targets: training_step(model, args.data)[0] for targets, model in models.items()}
    ratios = []
    for number in range(24 * args.steps + 1):
        cost = {}
        for targets in (BOTH, BOTH[:1]) if number % 2 else (BOTH[:1], BOTH):
            start = time.process_time()
            steps[targets]()
            cost[targets] = time.process_time() - start
        if number:
            ratios.append(cost[BOTH] / cost[BOTH[:1]] - 1)
    head, model = models[BOTH].overlap_head, models[BOTH]
    graph = model_graph(model, read_si64(args.data, model.basis), torch.float32)
    both, alone = (multiply_adds(m, graph) for m in models.values())
    ordered, n = sorted(ratios), len(ratios)
    rank = int(binom.ppf(0.025, n, 0.5))  # between this one from either end the median lies with 95 % at least
    return {
        "parameters": sum(p.numel() for p in head.parameters()),
        "multiply_adds": both / alone - 1,
        "time": statistics.median(ratios),
        "interval": [ordered[rank - 1], ordered[n - rank]],
        "pairs_of_steps": n,
    }


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of all matrix products that ``work`` does; counted as torch does them."""
    from torch.utils.flop_counter import FlopCounterMode

    def in_place(total: torch.Size, a: torch.Size, b: torch.Size, *_: object, **__: object) -> int:
        return 2 * math.prod(a) * b[-1]

    products = {torch.ops.aten.addmm_: in_place, torch.ops.aten.baddbmm_: in_place}
    torch_alone = mock.patch("slembench.nn.kernels.native.library", return_value=None)
    with torch_alone, FlopCounterMode(display=False, custom_mapping=products) as counter:
        work()
    return int(counter.get_total_flops())


@torch.no_grad()
def multiply_adds(model: PairFrameModel, graph: object) -> int:
    """Multiply-adds of all matrix products of a forward pass."""
    return flops(lambda: model(graph)) // 2


KINDS = {
    "compiled updates of pair states": ("_Update",),
    "compiled products and norms": ("_Product", "_Norm"),
    "matrix products": ("aten::mm", "aten::addmm"),
    "batched small products": ("aten::bmm", "aten::baddbmm"),
    "products and sums elementwise": ("aten::mul", "aten::add", "aten::sub", "aten::div", "aten::addc", "aten::sum"),
    "copies, fills, concatenation": ("aten::copy_", "aten::cat", "aten::fill_", "aten::clone", "aten::zero_"),
    "gather and scatter": ("aten::index", "aten::scatter", "aten::gather"),
    "activations and norms": ("aten::s", "aten::native_layer_norm", "aten::linalg", "aten::tanh"),
}


def run_profile(args: argparse.Namespace) -> dict:
    """Shares of the time of a step by kind of operation."""
    from torch.profiler import ProfilerActivity, profile

    step, _ = training_step(build(args.method, CASES[args.case], args.symmetry), args.data)
    step()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        step()
    events = recorded.key_averages()
    total = sum(e.self_cpu_time_total for e in events)
    rest = "everything else (dispatch, autograd, views)"
    shares = dict.fromkeys([*KINDS, rest], 0.0)
    for event in events:
        kind = next((k for k, names in KINDS.items() if event.key.startswith(names)), rest)
        shares[kind] += event.self_cpu_time_total / total
    return {"shares": shares}


def product_rate() -> float:
    """GFLOP/s of a product of the model's shape on one thread: torch's or the compiled one, whichever is faster."""
    a, b = torch.randn(5504, 192), torch.randn(192, 96)
    seconds = []
    for product in 20 * (torch.mm, raw_matmul):
        start = time.process_time()
        product(a, b)
        seconds.append(time.process_time() - start)
    return 2e-9 * 5504 * 192 * 96 / min(seconds)


RUNS = {"step": run_step, "lmax": run_lmax, "overlap": run_overlap, "profile": run_profile}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=sorted(RUNS))
    parser.add_argument("data", type=Path)
    parser.add_argument("--case", choices=sorted(CASES), default="Si64")
    parser.add_argument("--method", choices=sorted(CLASSES), default="slem")
    parser.add_argument("--symmetry", choices=["SO3", "O3"], default="SO3")
    parser.add_argument(
        "--setting",
        choices=["plain", "users", "tuned"],
        default="users",
        help="users: as `slembench run` sets it; plain: torch as it comes; tuned: oneDNN products, malloc thresholds",
    )
    parser.add_argument("--weights", type=Path, help="the peer's weights")
    parser.add_argument("--steps", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if args.setting == "users":
        torch.set_float32_matmul_precision(
            matmul_precision("cpu", uses_native_kernels=PairFrameModel.uses_native_kernels)
        )
    if args.setting == "tuned":
        torch.set_float32_matmul_precision("medium")
    if args.setting != "plain":
        keep_freed_memory()
    print(json.dumps({**RUNS[args.what](args), "gflops": product_rate()}))


if __name__ == "__main__":
    main()
