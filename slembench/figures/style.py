"""The one style of all figures, and how they are written: the same input gives the same bytes.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by readers with any colour vision and
in grey print; series also differ in marker or line. The colour scale is perceptually uniform (cividis).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from slembench.core.files import atomic_file

P = ParamSpec("P")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Blue, vermilion, green, purple, orange, sky blue, black."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
GREY = "#7F7F7F"
COLORMAP = "cividis"
"""Colour scale of heat maps."""

WIDTH = 7.0
"""Width in inches of a picture across the page."""

PNG_DPI = 110
PNG_COLOURS = 64
"""Colours of the palette of a PNG."""

UNIT_TEXT = {"eV": "eV", "Hartree": "Hartree", "1": ""}

STYLE: dict[str, Any] = {
    "axes.grid": False,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",  # text stays text: it can be searched and copied, and the file is smaller
    "svg.hashsalt": "slembench",  # ids of clip paths are random otherwise, and two equal figures differ
    "xtick.labelsize": 7,
    "xtick.major.width": 0.7,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.7,
}


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator of a function that plots: the style holds while it runs, whatever the user's own settings are."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return function(*args, **kwargs)

    return wrapper


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of that size in inches, outside of pyplot, so that nothing global changes."""
    # pyplot would keep every figure alive and choose a backend, perhaps one that needs a display
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def decimal_log_ticks(axis: Axis) -> None:
    """Numbers such as 500, 2k and 1M at 1, 2 and 5 of every decade of a logarithmic axis, however short it is."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    thousands = EngFormatter(sep="")
    axis.set_major_formatter(FuncFormatter(lambda x, _: thousands(x) if x >= 1 else f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def axis_label(text: str, unit: str) -> str:
    """Label of an axis: ``text (unit)``; a dimensionless quantity ("1") has no unit to show.

    Example:
        >>> axis_label("MAE of H", "eV"), axis_label("MAE of S", "1")
        ('MAE of H (eV)', 'MAE of S')
    """
    shown = UNIT_TEXT.get(unit, unit)
    return f"{text} ({shown})" if shown else text


def svg_text(figure: Figure, source: str = "") -> str:
    """The figure as an SVG element that can stand in a page as it is.

    Args:
        figure: what to write.
        source: text kept in the metadata.

    Returns:
        ``<svg ...>...</svg>`` without XML declaration, date or version, which change while the picture does not.

    Example:
        >>> figure = new_figure(1.0)
        >>> svg_text(figure).startswith("<svg"), svg_text(figure) == svg_text(figure)
        (True, True)
    """
    metadata = {"Date": None, "Creator": None, **({"Source": source} if source else {})}
    buffer = BytesIO()
    with _style():
        figure.savefig(buffer, format="svg", metadata=metadata)
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :]


def save(figure: Figure, stem: str | Path, formats: Iterable[str] = ("svg", "png"), source: str = "") -> list[Path]:
    """Write a figure as ``stem``.svg and ``stem``.png, each atomically.

    Args:
        figure: what to write.
        stem: path without suffix.
        formats: "svg", "png" or both.
        source: text kept in the file's metadata, such as the fingerprint of the data that were drawn.

    Returns:
        Paths of the files.
    """
    content = {"svg": lambda: svg_text(figure, source).encode(), "png": lambda: _png(figure, source)}
    paths = []
    for kind in formats:
        path = Path(f"{stem}.{kind}")
        with atomic_file(path) as temporary:
            temporary.write_bytes(content[kind]())
        paths.append(path)
    return paths


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not on top of a user's matplotlibrc
        settings: Any = matplotlib.rcParams
        settings.update(STYLE)
        yield


def _png(figure: Figure, source: str) -> bytes:
    """PNG with a palette of its own colours, a third of the size of one with three bytes a pixel.

    No dithering: it would sprinkle grey over white ground and compress badly.
    """
    full, small = BytesIO(), BytesIO()
    with _style():
        figure.savefig(full, format="png", dpi=PNG_DPI)
    text = PngInfo()
    if source:
        text.add_text("Source", source)
    with Image.open(full) as image:
        palette = image.convert("RGB").quantize(PNG_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        palette.save(small, format="png", optimize=True, pnginfo=text, dpi=(PNG_DPI, PNG_DPI))
    return small.getvalue()
