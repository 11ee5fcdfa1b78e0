"""What `import flowsim` offers, and what the command line calls: load, run, compare, read.

Experiments know nothing of charts; here the two meet. After a run or a comparison the results folder is complete:
numbers, summary and charts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from flowsim.compose import compose, load, load_scenarios
from flowsim.evidence import read_register
from flowsim.experiment import compare as comparing
from flowsim.experiment import runner
from flowsim.experiment.store import Store, read_config
from flowsim.files import folders
from flowsim.place import WEEKDAYS, FlowsimNotice, Place, PlaceError, Run, refuse

__all__ = ["Comparison", "Result", "compare", "load", "read", "run"]

SETTINGS = ("seed", "jobs", "engine", "out", "keep_spells", "window", "progress", "command")
WEEKDAY_INDEX = "discharges_by_weekday"
ENGLAND_WEEKDAYS = ("AC-31",)
"""England's discharges by weekday in the evidence: for places whose `published` names none of their own."""


class _Shown:
    """What a person sees of a result: charts, the report, and how it looks in a notebook."""

    def chart(self: Any, path: str | Path, kind: str = "differences", **options: Any) -> Path:
        """Draw a chart to a .png or .svg file. Kinds: differences, census, causes, weekdays. Raises PlaceError."""
        from flowsim.present import charts

        if kind == "weekdays":
            options.setdefault("published", self.published_weekdays)
        return charts.save(self, path, kind, **options)

    def show(self: Any) -> None:
        """Print the report to the terminal."""
        from flowsim.present import report

        report.show(self, self.assumptions)

    def finish(self: Any) -> None:
        """Write the summary and all charts into the results folder."""
        from flowsim.present import charts, report

        if not self.results.empty:
            charts.save_all(self, self.out / "charts", published=self.published_weekdays)
        pictures = sorted(path.relative_to(self.out).as_posix() for path in (self.out / "charts").glob("*.png"))
        report.write_summary(self, self.assumptions, pictures)

    @cached_property
    def assumptions(self: Any) -> str:
        """How many of the place's default numbers are assumptions, in words; empty for a place without evidence."""
        from flowsim.present import report

        place = next(iter(self.places.values()))
        try:
            grades = compose(f"place={place.name}").evidence()["grade"]
        except PlaceError:
            return ""
        return report.assumptions_words(place, [str(grade) for grade in grades if grade])

    @cached_property
    def published_weekdays(self: Any) -> dict[str, list[float]]:
        """Published discharges by weekday: whose and when -> seven index numbers, Monday first.

        Warns (`FlowsimNotice`) of a row of the evidence that is not such numbers, and leaves it out.
        """
        register = read_register(folders())
        place = next(iter(self.places.values()))
        found = {}
        for name in place.published.get(WEEKDAY_INDEX, ENGLAND_WEEKDAYS):
            if name not in register:
                continue
            entry = register[name]
            values = _index(entry.value)
            if values is None:
                words = f"{name} of the evidence: {entry.value!r} is not seven numbers with '/' between; left out."
                warnings.warn(words, FlowsimNotice, stacklevel=2)
                continue
            found[f"published ({name}): {', '.join(entry.why.split(', ')[:2])}"] = values
        return found


def _index(text: str) -> list[float] | None:
    """Seven finite numbers with ``/`` between them; None when the text is anything else."""
    try:
        values = [float(value) for value in text.split("/")]
    except ValueError:
        return None
    return values if len(values) == len(WEEKDAYS) and all(map(math.isfinite, values)) else None


class Result(_Shown, runner.Result):
    """What one scenario's replications found: `results`, `census`, `summary()`, `chart()`, `show()`."""

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False)


class Comparison(_Shown, comparing.Comparison):
    """Scenarios side by side: a result with `differences`, `table()`, `what_breaks_next()`, `released_bed_days()`."""

    def _repr_html_(self) -> str:
        return self.table().to_html(index=False)


def run(place: Place | str = "baseline", replications: int | None = None, **settings: Any) -> Result:
    """Run one scenario and fill its results folder.

    Args:
        place: a `Place` (see `load`), the name of a scenario, or a `config/<scenario>.yaml` of an earlier run.
        replications: how many; None for the documented default.
        settings: seed, jobs, engine, out, keep_spells, window, progress, command; see `experiment.runner.run`.

    Raises PlaceError for a mistake in the configuration. Cells that fail are told in `failures`.
    """
    found = runner.run(as_place(place), replications=replications, **settings)
    result = Result(found.out, found.places, found.failures, found.notices, found.interrupted)
    result.finish()
    return result


def compare(
    scenarios: Sequence[Place | str] | Mapping[str, Place],
    replications: int | None = None,
    *,
    overrides: Sequence[str] = (),
    **settings: Any,
) -> Comparison:
    """Compare scenarios with the first of them, with the same people in each, and fill the results folder.

    Args:
        scenarios: names of scenarios (stacked with a plus sign), places, or a mapping that names places.
        replications: how many; None for the documented default.
        overrides: of the place, for every scenario given by name, as on the command line.
        settings: seed, jobs, engine, out, keep_spells, window, progress, command; see `experiment.compare.compare`.
            For scenarios given by name also start_date, days, warm_up_days, policy_start and scale.

    Raises PlaceError for a mistake in the configuration. Cells that fail are told in `failures`.
    """
    if isinstance(scenarios, str):
        raise PlaceError(f"scenarios: {scenarios!r} was given; allowed: a list of at least two.")
    of_run = [f"{name}={settings.pop(name)}" for name in Run.model_fields if name in settings]
    if of_run and (isinstance(scenarios, Mapping) or any(isinstance(one, Place) for one in scenarios)):
        told = f"{', '.join(of_run)} was given beside places"
        raise PlaceError(f"{told}; allowed: load('{of_run[0]}', ...) for each place.")
    if unknown := settings.keys() - SETTINGS:
        raise refuse("setting", min(unknown), "one of", (*SETTINGS, *Run.model_fields))
    found = comparing.compare(_places(scenarios, (*overrides, *of_run)), replications=replications, **settings)
    comparison = Comparison(found.out, found.places, found.failures, found.notices, found.interrupted)
    comparison.finish()
    return comparison


def read(out: str | Path) -> Result | Comparison:
    """The result in a folder that an earlier run or comparison left. Raises PlaceError when it holds none."""
    several = len(Store(out).manifest.get("configuration", {}).get("scenarios", {})) > 1
    return Comparison.read(out) if several else Result.read(out)


def as_place(what: Place | str, overrides: Sequence[str] = ()) -> Place:
    """A place as it is, a scenario by its name, or the configuration an earlier run wrote."""
    if isinstance(what, Place):
        return what
    return read_config(what) if what.endswith((".yaml", ".yml")) else load(f"scenario={what}", *overrides)


def _places(
    scenarios: Sequence[Place | str] | Mapping[str, Place], overrides: Sequence[str]
) -> list[Place] | Mapping[str, Place]:
    if isinstance(scenarios, Mapping):
        return scenarios
    names = [what for what in scenarios if isinstance(what, str) and not what.endswith((".yaml", ".yml"))]
    if names and len(names) == len(scenarios):
        return load_scenarios(f"scenarios=[{','.join(names)}]", *overrides)
    return [as_place(what, overrides) for what in scenarios]
