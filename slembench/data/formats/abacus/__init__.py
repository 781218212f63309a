"""ABACUS: CSR matrices, orbitals and STRU."""
