"""DeePTB: folders and LMDB."""
