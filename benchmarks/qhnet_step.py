"""One training step of QHNet on 8 molecules of ethanol, beside the public code with the same weights in the same run.

    python benchmarks/qhnet_step.py --peer-python ENV/bin/python --checkout path/to/AIRS/OpenDFT/QHBench/QH9

Both take the same geometries (def2-SVP, 576 directed pairs), the network of the QH9 version (20 million parameters),
the loss mean square + mean absolute error, clipping at 5 and AdamW.
"""

from __future__ import annotations

import argparse

from side_by_side import HERE, compare, parser, prepare, timed


def worker(args: argparse.Namespace) -> None:
    """Time our steps."""
    prepare(args.worker)
    import torch
    from ase.build import molecule
    from torch_geometric.data import Batch

    from slembench.data.graph import build_graph
    from slembench.models.graphs import attach_frames
    from slembench.models.registry import load_model_class
    from slembench.operators.orbitals import Basis

    kind = load_model_class("qhnet")
    basis = Basis.parse({"H": "2s1p", **dict.fromkeys("CNOF", "3s2p1d")})
    cutoffs = dict.fromkeys(basis.elements, 25.0)
    model = kind.from_public(args.weights, kind.Config(), basis, cutoffs, ("hamiltonian",))
    graphs = []
    for seed in range(8):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.05, seed=seed)
        graphs.append(attach_frames(build_graph(atoms, model.cutoffs, model.layout), model.frame_lmax))
    batch = Batch.from_data_list(graphs)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        elements = torch.cat([model.layout.to_elements(value) for value in model(batch)["hamiltonian"]])
        (elements.square().mean() + elements.abs().mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    timed(step, args.steps, parameters=model.n_parameters, pairs=batch.pair_index.shape[1])


def main() -> None:
    args = parser(__doc__).parse_args()
    if args.worker:
        worker(args)
        return
    compare(__file__, [str(HERE / "peers/qhnet.py"), str(args.checkout)], args)


if __name__ == "__main__":
    main()
