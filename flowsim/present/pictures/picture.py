"""What a picture is: what it shows as a table, and how that is drawn.

A picture is one file here with three things: `data`, which takes a result and returns a `Data` or refuses in a
sentence; `draw`, which takes that alone and returns a figure; and `PICTURE`, which says where it stands. So the same
numbers can stand in a table, on a page and in a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a picture shows.

    Attributes:
        frame: tidy: one row a thing that is drawn, one column a thing that is known of it.
        title: what stands above the picture; caption: what stands below it.
        settings: what the user set, which stands below that.
        scenarios: titles of the scenarios by their names, in order.
    """

    frame: pd.DataFrame
    title: str
    caption: str
    settings: str = ""
    scenarios: Mapping[str, str] = field(default_factory=dict)


def always(result: Any) -> bool:
    """Of any result of its question."""
    return True


@dataclass(frozen=True)
class Picture:
    """A picture that can be drawn.

    Attributes:
        name: what it is asked for by, and the name of its file unless `file` says another.
        rank: where it stands among others; the smallest is the most important.
        questions: the verbs whose results it is of.
        data: what it shows of a result, with options of its own. Raises PlaceError where there is nothing.
        draw: makes a figure of what `data` returned, and of nothing else.
        needs: what another result lacks, for a sentence of refusal.
        fits: whether it is drawn of a result without being asked for.
        file: the name of its file in the folder's `charts/`.
    """

    name: str
    rank: int
    questions: tuple[str, ...]
    data: Callable[..., Any]
    draw: Callable[[Any], Figure]
    needs: str = ""
    fits: Callable[[Any], bool] = always
    file: str = ""

    @property
    def stem(self) -> str:
        """The name of its file, without ending."""
        return self.file or self.name


EXPERIMENTS = ("run", "compare", "select")
"""Questions whose results have scenarios that are drawn beside each other."""
