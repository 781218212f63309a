"""HarmoSE: a Transformer that refines the Hamiltonian of an equivariant first stage (arXiv 2401.00744)."""
