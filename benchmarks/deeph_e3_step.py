"""One training step of DeepH-E3 on 64 silicon atoms, beside the public code with the same weights in the same run.

    python benchmarks/deeph_e3_step.py --peer-python ENV/bin/python --checkout path/to/DeepH-E3    # see README.md

Both take the same structure (5,504 directed pairs and 64 self-loops), the public defaults (irreps
64x0e+32x1o+16x2e+8x3o+8x4e, 3 blocks, harmonics up to l = 4, cutoff 7.4 Angstrom) and Adam.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from side_by_side import HERE, compare, parser, prepare, timed


def worker(args: argparse.Namespace) -> None:
    """Time our steps."""
    prepare(args.worker)
    import torch
    from si64 import BASIS, CUTOFFS, read_si64

    from slembench.models.graphs import model_graph
    from slembench.models.registry import load_model_class

    kind = load_model_class("deeph-e3")
    model = kind.from_public(args.weights, kind.Config(gaussian_stop=7.4), BASIS, CUTOFFS, ("hamiltonian",))
    graph = model_graph(model, read_si64(args.data), torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        found = model(graph)["hamiltonian"]
        parts = [
            model.layout.to_elements(value - graph[f"hamiltonian_{part}"]) for part, value in found._asdict().items()
        ]
        torch.cat(parts).square().mean().backward()
        optimizer.step()

    timed(step, args.steps, parameters=model.n_parameters, pairs=graph.pair_index.shape[1])


def main() -> None:
    arguments = parser(__doc__)
    real = os.environ.get("SLEMBENCH_REAL_FILES", "")
    arguments.add_argument("--data", type=Path, default=Path(real) / "deeptb/Si64" if real else None)
    args = arguments.parse_args()
    if args.data is None or not args.data.is_dir():
        arguments.error("give --data FOLDER (DeePTB's Si64 example), or set SLEMBENCH_REAL_FILES")
    if args.worker:
        worker(args)
        return
    compare(__file__, [str(HERE / "peers/deeph_e3.py"), str(args.checkout), str(args.data)], args)


if __name__ == "__main__":
    main()
