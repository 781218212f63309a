"""Molecular data: SchNOrb, PhiSNet and nablaDFT databases, PySCF checkpoints."""
