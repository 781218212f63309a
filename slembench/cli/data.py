"""``slembench data list``, ``info`` and ``get``: the data sets there are, the card of one, and how one comes here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slembench.cli.data_tools import Format, Overlap, RowNumbers
from slembench.cli.options import AsJson
from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from slembench.data.official.inventory import Entry

FOOT = """? not published, or not confirmed (slembench data info NAME says which).
download, import: slembench data get NAME (where a browser or a login is needed, it says for what); import a copy:
slembench data get NAME --from PATH, with files that you have."""
WIDE = 110
"""Columns of a terminal from which on the list is a table."""


def list_command(
    as_json: AsJson = False,
) -> None:
    """List every data set: what it is, what of it is on this machine, and how to get it.

    Shipped sets are ready; official ones are published elsewhere; those in the folders of the variable SLEMBENCH_DATA
    (default: the data folder of the user) are listed too.

        slembench data list

        slembench data list --json
    """
    from rich.console import Console

    from slembench.data.official.inventory import inventory

    entries = inventory()
    if as_json:
        typer.echo(json.dumps([_content(entry) for entry in entries], indent=1))
        return
    console = Console(highlight=False, markup=False)
    # Seven columns are unreadable on 80: there a data set is a paragraph of three lines.
    (_print_table if console.width >= WIDE else _print_blocks)(console, entries)


def info_command(
    name: Annotated[str, typer.Argument(help="Name from `data list`, or a folder that holds a card.yaml.")],
    verify: Annotated[bool, typer.Option("--verify", help="Read every structure, compare every checksum.")] = False,
) -> None:
    """Show the card of a data set: units, shells, level of theory, splits, numerical noise, checks.

    Of an official set that is not on this machine: address, size, checksum, licence, split rule, and what could not be
    confirmed. With --verify every structure is read and looked through and every checksum compared.

        slembench data info mos2-mini

        slembench data info qh9-stable-id

        slembench data info path/to/folder --verify
    """
    from rich.console import Console
    from rich.table import Table

    from slembench.data.catalogue import list_datasets, load_card, load_dataset
    from slembench.data.official_card import list_official, load_official

    # A name stands for what was imported under it; the official card is shown only while nothing was.
    remote = name in list_official() and name not in list_datasets()
    if remote and verify:
        load_dataset(name)  # refuses, and says how to get it
    card = load_official(name) if remote else load_card(name)
    table = Table("key", "value")
    # On the card of a data set an absent key does not apply; on an official one it says "not published".
    for key, value in _flat(card.model_dump(mode="json", exclude_none=not remote)):
        table.add_row(key, value)
    console = Console(highlight=False, markup=False)  # "[" on a card is no tag of rich
    console.print(table)
    if remote:
        _print_steps(console, name)
    elif verify:
        dataset = load_dataset(name)
        console.print(f"fingerprint {dataset.fingerprint}")
        for split in dataset.splits:
            console.print(f"split {split}: {len(dataset.split(split))} structures, hash {dataset.split_hash(split)}")
        structures = sum(1 for _ in dataset.iterate())
        console.print(f"{structures} structures read, nothing wrong")


def get_command(
    name: Annotated[str, typer.Argument(help="Official set from `data list`.")],
    copy: Annotated[
        Path | None,
        typer.Option("--from", metavar="PATH", help="A copy that you have, whole or in part.", exists=True),
    ] = None,
    address: Annotated[str | None, typer.Option(help="Another address of the file, such as a mirror's.")] = None,
    download_only: Annotated[bool, typer.Option("--download-only", help="Leave the file as it arrived.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the data set (default: where names are found).")] = None,
    source: Format = None,
    rows: RowNumbers = None,
    overlap: Overlap = False,
) -> None:
    r"""Get an official set: download its published file, then make a data set of it, with the official splits.

    Both are resumed where they were stopped; the download is checked and unpacked. Where an address needs a browser or
    an account the command says what to do and where to put the file, and goes on from there when given again. Files lie
    in _downloads of the first folder of SLEMBENCH_DATA (default: the data folder of the user).

        slembench data get md17-water

        slembench run --dataset md17-water --model slem

    A copy that you have, whole or in part, becomes the data set without a download. A part is divided as the whole:
    every structure is in the split that the official rule gives it.

        slembench data get qh9-stable-id --from QH9Stable-part.db --overlap
    """
    from slembench.core.assets import user_data_folder
    from slembench.data.catalogue import list_datasets
    from slembench.data.official.fetch import fetch
    from slembench.data.official_card import list_official

    if copy is not None and (address or download_only):
        raise ConfigError("--from takes a copy that you have: leave out --address and --download-only")
    if name in list_datasets() and name not in list_official():
        typer.echo(f"{name}: nothing to get, it is on this machine already; see: slembench data info {name}")
        return
    target = out or user_data_folder() / name
    if target.exists() and not download_only:  # found out before a download of hours, not after it
        raise ConfigError(f"{target}: exists already; remove it first, or write somewhere else with --out")
    if copy is None:
        copy = fetch(name, address)
    if download_only:
        typer.echo(f"{copy}: ready; next: slembench data get {name}")
        return
    # Only now: h5py, PyArrow and the readers of all formats.
    from slembench.data.official.importing import import_official
    from slembench.data.official.split_arrays import read_rows

    made = import_official(name, copy, out, source=source, rows=read_rows(rows), overlap=overlap)
    typer.echo(f"{made!r} written to {made.root}; next: slembench run --dataset {out or name} --model slem")


def _print_steps(console: Console, name: str) -> None:
    from slembench.data.official.fetch import instructions
    from slembench.data.official.inventory import inventory
    from slembench.data.official_card import load_official

    entry = next(entry for entry in inventory() if entry.name == name)
    console.print(f"on this machine: {entry.on_disk}", soft_wrap=True)
    # The file is here, only not imported: no address and no browser any more.
    steps = entry.get if entry.state == "downloaded" else instructions(load_official(name))
    console.print(f"to get it: {steps}", soft_wrap=True)


def _print_table(console: Console, entries: list[Entry]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("data set", no_wrap=True)
    table.add_column("structures", justify="right", no_wrap=True)
    for head in ("size", "level of theory", "licence", "on disk", "to get it"):
        table.add_column(head)
    for entry in entries:
        table.add_row(*_words(entry), entry.step)
    console.print(table)
    console.print(FOOT, soft_wrap=True)


def _print_blocks(console: Console, entries: list[Entry]) -> None:
    from textwrap import fill

    for entry in entries:
        name, structures, size, level, licence, on_disk = _words(entry)
        count = "unknown number of" if structures == "?" else structures
        volume = "unknown size" if size == "?" else size
        steps = f"; {entry.get}" if entry.get else ""
        console.print(fill(f"{name}: {entry.title}", console.width, subsequent_indent="      "))
        for line in (f"{count} structures, {volume}; {level}; licence {licence}", f"on disk: {on_disk}{steps}"):
            # "MoS2-mini" or "NC-SA" broken at a hyphen cannot be searched for.
            text = fill(line, console.width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)
            console.print(text, soft_wrap=True)


def _words(entry: Entry) -> tuple[str, ...]:
    count = "?" if entry.structures is None else f"{entry.structures:,}"
    return entry.name, count, entry.size, entry.level, entry.licence, entry.on_disk


def _content(entry: Entry) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(entry), "folder": None if entry.folder is None else str(entry.folder), "on_disk": entry.on_disk}


def _flat(content: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mapping as rows of dotted key and text; what is not known is said in words."""
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        elif value is None:
            rows.append((prefix + key, "not published, or not confirmed"))
        else:
            rows.append((prefix + key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return rows
