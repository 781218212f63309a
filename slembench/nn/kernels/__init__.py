"""Compiled kernels of the equivariant layers, and what runs without a compiler."""
