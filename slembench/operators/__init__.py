"""Operators in localised-orbital bases: units, orbitals, rotations, blocks and their irreps."""
