"""How every picture looks, and how it is written: PNG or SVG, the same bytes for the same numbers.

Colours are those of Okabe and Ito (2008), which people with any common colour vision tell apart; nothing is said by
colour alone. Every picture says in its caption how many replications stand behind it and what its bands and bars are.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

from flowsim.folder.atomic import placed
from flowsim.place import refuse
from flowsim.present.pictures.picture import Data
from flowsim.present.words import tick

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#7F7F7F"
DARK = "#555555"
"""Of words and edges that must be read where grey is too light."""
GRID = "#E5E5E5"
SCENARIO_COLOURS = (BLACK, BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
SIGHTS = (
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
)
"""What becomes of linear red, green and blue in most people's eyes, and in those without red or without green cones."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)
LINE_STYLES = ("-", "--", "-.", ":")
LONGEST_LINE, LONGEST_LABEL, LONGEST_HEADING = 24, 46, 42
"""Characters of a line of a scenario's title beside an axis, of a legend, and above one of three panels."""
TITLE_AN_INCH = 8.5
"""Characters of the title above a picture that find room in an inch of it."""
MOST_TITLE_LINES = 3
"""Lines of a scenario's title beside an axis."""
LINE_OF_TITLE = 0.56
"""What each of these lines needs, of the room of a scenario with a title of one."""
MOST_BANDS = 3
"""Scenarios that have bands by night and by weekday; of more the lines alone are clearer."""
BEHIND_NUMBERS = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
"""What stands behind a number in a panel, so that no line runs through it."""
ABOVE_LINES = 4
"""Where numbers stand among what is drawn: above every line."""
LINE_ABOVE = 10.5
"""Points from one line of words above a panel to the next."""


# ---------------------------------------------------------------------------------------------------------------------
# Written


def write(draw: Callable[[], Figure], *paths: str | Path) -> Path:
    """Draw a picture in flowsim's style and write it to .png or .svg files; returns the first.

    Raises PlaceError for another ending.
    """
    files = [Path(path) for path in paths]
    for path in files:
        if path.suffix not in FORMATS:
            raise refuse("path", str(path), "a name ending in .png or .svg")
    with in_style():
        canvas = laid_out(draw())
        for path in files:
            with placed(path) as temporary:
                FORMATS[path.suffix](canvas, temporary)
    return files[0]


def laid_out(figure: Figure) -> FigureCanvasAgg:
    """Find room for everything, once for all formats. The canvas it was measured on has kept the size of every word."""
    canvas = FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    # the solver does not always repeat the last bit, and clip paths in SVG are named after positions
    for axes in figure.axes:
        left, bottom, width, height = (round(edge, 6) for edge in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))
        for axis in (axes.xaxis, axes.yaxis):
            _fix_ticks(axis)
    return canvas


def _fix_ticks(axis: Axis) -> None:
    """Keep ticks and their words as they are now: each drawing would look for them again, several times."""
    ticks, formatter = list(axis.get_majorticklocs()), axis.get_major_formatter()
    words = FixedFormatter(formatter.format_ticks(ticks))
    words.set_offset_string(formatter.get_offset())
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(words)


def _png(canvas: FigureCanvasAgg, path: Path) -> None:
    canvas.figure.set_dpi(PNG_DPI)  # an SVG has its own
    options = {"compress_level": COMPRESSION}
    canvas.print_png(path, metadata={"Software": "flowsim"}, pil_kwargs=options)


def _svg(canvas: FigureCanvasAgg, path: Path) -> None:
    FigureCanvasSVG(canvas.figure).print_svg(path, metadata={"Date": None, "Creator": "flowsim"})


# not figure.savefig, which draws each picture twice
FORMATS: dict[str, Callable[[FigureCanvasAgg, Path], None]] = {".png": _png, ".svg": _svg}
ENDINGS = tuple(FORMATS)
PNG_DPI = 150
COMPRESSION = 3
"""Of a PNG: its files are as small as those of the default of 6, in half the time."""


@contextlib.contextmanager
def in_style() -> Iterator[None]:
    """Fonts and lines as every picture has them."""
    settings: dict[Any, Any] = {
        "svg.hashsalt": "flowsim",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.hinting": "none",  # letters have the same places at every size, and take far less time
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.titley": 1.0,  # where it would be put by trying, in each drawing anew
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "figure.dpi": PNG_DPI,
    }
    with matplotlib.rc_context(settings):
        yield


# ---------------------------------------------------------------------------------------------------------------------
# What all pictures have


def finish(figure: Figure, data: Data, bottom: float = 0.0) -> None:
    """Title above, below the legend, for which `bottom` leaves inches, the caption and what the user set.

    A title of several lines makes the figure higher: the panels keep their room.
    """
    width, height = figure.get_size_inches()
    title = textwrap.wrap(data.title, int(width * TITLE_AN_INCH))
    lines = [line for words in (data.caption, data.settings) for line in textwrap.wrap(words, int(width * 17))]
    above = 0.2 * len(title) + 0.22
    height += 0.2 * (len(title) - 1)
    figure.set_size_inches(width, height)
    below = 0.16 * len(lines) + 0.12 + bottom
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, (0.13 * len(lines) + 0.12) / height), transform=figure.transFigure)
    corner = {"x": 0.1 / width, "y": 1 - 0.1 / height, "ha": "left", "va": "top"}
    figure.suptitle("\n".join(title), **corner, fontsize=12, fontweight="bold")
    figure.text(0.1 / width, 0.06 / height, "\n".join(lines), ha="left", va="bottom", fontsize=7.5, color="#444444")
    figure.set_layout_engine("constrained", rect=(0.005, below / height, 0.99, 1 - (below + above) / height))


def in_lines(words: str, width: int = LONGEST_LINE) -> str:
    """Words broken into lines of so many characters."""
    return "\n".join(textwrap.wrap(words, width))


def label_scenarios(axes: Axes, titles: Sequence[str], width: int = LONGEST_LINE) -> None:
    """Scenarios down the left side, the first on top, in lines of so many characters."""
    axes.set_yticks(range(len(titles)), [in_lines(title, width) for title in titles])
    axes.set_ylim(len(titles) - 0.5, -0.5)


def width_for(titles: Sequence[str]) -> int:
    """Characters of a line beside an axis so that no title has more than `MOST_TITLE_LINES`."""
    width = LONGEST_LINE
    while any(in_lines(title, width).count("\n") >= MOST_TITLE_LINES for title in titles):
        width += 2
    return width


def lines_of(titles: Sequence[str], width: int = LONGEST_LINE) -> float:
    """How much room scenarios down a side need, in lines; a title's second line needs half of one.

    All have as much, so that the longest does not run into the next.
    """
    lines = [1 + in_lines(title, width).count("\n") for title in titles]
    return max(sum(1 + (each - 1) / 2 for each in lines), len(lines) * max(lines, default=0) * LINE_OF_TITLE)


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], columns: int = 3) -> float:
    """A legend, which `finish` puts between the picture and its caption; returns the inches it needs."""
    broken = [in_lines(label, LONGEST_LABEL) for label in labels]
    figure.legend(handles, broken, loc="lower left", ncols=columns, frameon=False, fontsize=8)
    rows = -(-len(broken) // columns)  # it is filled column by column
    lines = [sum(1 + label.count("\n") for label in broken[at : at + rows]) for at in range(0, len(broken), rows)]
    return 0.1 + 0.19 * max(lines, default=0)


def line_of(at: int) -> tuple[str, str]:
    """Colour and style of the line of a scenario, by its place among those that are shown."""
    return SCENARIO_COLOURS[at % len(SCENARIO_COLOURS)], LINE_STYLES[at % len(LINE_STYLES)]


def number_beside(axes: Axes, words: str, at: tuple[float, float], offset: tuple[float, float], **more: Any) -> None:
    """A number printed in a panel, so many points from what it is of; lines stop behind it."""
    looks: dict[str, Any] = {"fontsize": 8, "zorder": ABOVE_LINES, "bbox": BEHIND_NUMBERS, **more}
    axes.annotate(words, at, offset, textcoords="offset points", **looks)


def band(axes: Axes, x: Any, low: Any, high: Any, colour: str, scenarios: int, alpha: float = 0.15) -> None:
    """A band, filled; where several scenarios are drawn its light edges, for colours over each other mix to mud."""
    if scenarios == 1:
        axes.fill_between(x, low, high, color=colour, alpha=alpha, linewidth=0)
        return
    for edge in (low, high):
        axes.plot(x, edge, color=colour, alpha=0.45, linewidth=0.7)


def lines_above(axes: Axes, title: str, lines: Sequence[tuple[str, str]]) -> None:
    """A panel's title, and under it what is to be read of each line, in the line's colour: (words, colour) each."""
    axes.set_title(title, pad=6 + LINE_ABOVE * len(lines))
    for at, (words, colour) in enumerate(reversed(lines)):
        axes.annotate(
            words, (0, 1), (0, 4 + LINE_ABOVE * at), xycoords="axes fraction", textcoords="offset points",
            fontsize=8, color=colour,
        )  # fmt: skip


@cache
def distance(one: str, other: str) -> float:
    """How far apart two colours look, in CIELAB, to whoever tells them apart worst, with or without red or green cones.

    The sight of others is that of Machado, Oliveira and Fernandes (2009) where it is farthest from most people's.
    """
    linear = np.array([[((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in to_rgb(each)]
                       for each in (one, other)])  # fmt: skip
    return min(float(np.linalg.norm(np.subtract(*_lab(linear @ sight.T)))) for sight in SIGHTS)


def _lab(linear: np.ndarray) -> np.ndarray:
    """Linear red, green and blue as CIELAB: (colours, 3) both."""
    relative = np.clip(linear, 0, 1) @ TO_XYZ.T / WHITE
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def ticks_in(unit: str) -> FuncFormatter:
    """How numbers in a unit are written along an axis."""
    return FuncFormatter(lambda value, _: tick(value, unit))
