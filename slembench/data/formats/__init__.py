"""Readers and writers of other programs' files; `registry` lists them."""

from __future__ import annotations

from slembench.data.formats.registry import FORMATS, Format, detect_format, read_samples, write_samples

__all__ = ["FORMATS", "Format", "detect_format", "read_samples", "write_samples"]
