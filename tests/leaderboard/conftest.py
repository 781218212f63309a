"""Runs that were never made, with errors that are known."""

import pytest


@pytest.fixture
def add_run(tmp_path, write_run):
    """Write one run folder; returns its folder."""

    def add(name, errors, **options):
        return write_run(tmp_path / "runs" / name, name, errors, **options)

    add.root = tmp_path / "runs"
    return add
