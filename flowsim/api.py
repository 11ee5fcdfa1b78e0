"""What `import flowsim` offers, and what the command line calls: load, run, compare, sweep, select, read.

Experiments know nothing of charts; here the two meet. After a run or a comparison the results folder is complete:
numbers, summary and charts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from flowsim.cells import runner
from flowsim.cells.about import WEEKDAY_INDEX
from flowsim.declare.composition import load, load_scenarios
from flowsim.declare.settings import Settings
from flowsim.folder.configuration import read_config
from flowsim.folder.result import Result as PlainResult
from flowsim.folder.store import Store
from flowsim.place import WEEKDAYS, FlowsimNotice, Place, PlaceError, Run, refuse
from flowsim.questions import compare as comparing
from flowsim.questions import select as selecting
from flowsim.questions import sweep as sweeping
from flowsim.questions.precision import Precision, as_measures, run_until

__all__ = ["Comparison", "Result", "Selection", "Sweep", "compare", "load", "read", "run", "select", "sweep"]

SETTINGS = tuple(name for name in Settings.model_fields if name != "replications")


class _Shown:
    """What a person sees of a result: charts, the report, and how it looks in a notebook."""

    def chart(self: Any, path: str | Path, kind: str = "differences", **options: Any) -> Path:
        """Draw a chart to a .png or .svg file; for the kinds see `present.charts.save`. Raises PlaceError."""
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

        drawn = []
        if not self.results.empty:
            drawn = charts.save_all(self, self.out / "charts", published=self.published_weekdays)
        pictures = [path.relative_to(self.out).as_posix() for path in drawn if path.suffix == ".png"]
        report.write_summary(self, self.assumptions, pictures)

    @cached_property
    def assumptions(self: Any) -> str:
        """How many of the place's default numbers are assumptions, in words; empty for a place without evidence."""
        from flowsim.present import sections

        grades = [str(grade) for grade in self.evidence["grade"] if grade]
        return sections.assumptions_words(next(iter(self.places.values())), grades)

    @cached_property
    def published_weekdays(self: Any) -> dict[str, dict[str, list[float]]]:
        """Published discharges by weekday: a site or "all" -> whose and when -> seven index numbers, Monday first.

        Warns (`FlowsimNotice`) of a row of the evidence that is not such numbers, and leaves it out.
        """
        found: dict[str, dict[str, list[float]]] = {}
        for row in self.published[self.published["measure"] == WEEKDAY_INDEX].to_dict("records"):
            values = _index(row["value"])
            if values is None:
                told = f"{row['id']} of the evidence: {row['value']!r}"
                words = f"{told} is not seven numbers with '/' between; left out."
                warnings.warn(words, FlowsimNotice, stacklevel=2)
                continue
            words = f"published ({row['id']}): {', '.join(row['why'].split(', ')[:2])}"
            found.setdefault(row["where"], {})[words] = values
        return found


def _index(text: str) -> list[float] | None:
    """Seven finite numbers with ``/`` between them; None when the text is anything else."""
    try:
        values = [float(value) for value in text.split("/")]
    except ValueError:
        return None
    return values if len(values) == len(WEEKDAYS) and all(map(math.isfinite, values)) else None


class Result(_Shown, PlainResult):
    """What one scenario's replications found: `results`, `nights`, `summary()`, `chart()`, `show()`."""

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False)


class Comparison(_Shown, comparing.Comparison):
    """Scenarios side by side: a result with `differences`, `table()`, `what_breaks_next()`, `released_bed_days()`,
    `net_cost()`."""

    def _repr_html_(self) -> str:
        return self.table().to_html(index=False)


class Selection(_Shown, selecting.Selection):
    """A comparison that stopped when the best was known: `ranking`, `explanation()`, and all a comparison has."""

    def _repr_html_(self) -> str:
        return self.ranking.to_html(index=False)


class Sweep(_Shown, sweeping.Sweep):
    """Many points: `table()`, `best()`, `ranking()`, `points`, `chart()`, `show()`."""

    def chart(self, path: str | Path, kind: str | None = None, measures: Sequence[str] = ()) -> Path:  # type: ignore[override]
        """Draw lines, heat or parallel (default: what fits the number of settings) to a .png or .svg file.

        Raises PlaceError.
        """
        from flowsim.present import sweep_charts

        return sweep_charts.save(self, path, kind, measures or self.asked_measures)

    def finish(self) -> None:
        """Write the summary and the chart into the results folder."""
        from flowsim.present import charts, report

        pictures = []
        if not self.results.empty:
            with charts.or_without("sweep"):
                pictures = [self.chart(self.out / "charts" / f"sweep{ending}") for ending in (".png", ".svg")][:1]
        report.write_summary(self, self.assumptions, [path.relative_to(self.out).as_posix() for path in pictures])

    def _repr_html_(self) -> str:
        return self.best().to_html(index=False)


def run(
    place: Place | str = "baseline",
    replications: int | None = None,
    *,
    precision: str | float | None = None,
    precision_of: str | Sequence[str] | None = None,
    budget: str | float | None = None,
    most: int | None = None,
    **settings: Any,
) -> Result:
    """Run one scenario and fill its results folder.

    Args:
        place: a `Place` (see `load`), the name of a scenario, or a `config/<scenario>.yaml` of an earlier run.
        replications: how many; None for the documented default.
        precision, precision_of, budget, most: run replications until the means of these measures are known within
            this half-width (``"5%"`` of the mean, or ``0.5`` in the measure's unit) or the time or the number is used
            up; see `questions.precision`.
        settings: seed, jobs, engine, out, keep_spells, window, progress, command, executor, address; see
            `settings.Settings`. For a scenario given by name also start_date, days, warm_up_days, policy_start, scale
            and census.

    Raises PlaceError for a mistake in the configuration. Cells that fail are told in `failures`.
    """
    do = _runner(precision, precision_of, budget, most)
    one = as_place(place, _taken_of_run([place], settings))
    found = do({one.scenario.name: one}, Settings.of(replications=replications, **settings), verb="run")
    result = Result(found.out, found.places, found.failures, found.notices, found.interrupted)
    result.finish()
    return result


def compare(
    scenarios: Sequence[Place | str] | Mapping[str, Place],
    replications: int | None = None,
    *,
    overrides: Sequence[str] = (),
    precision: str | float | None = None,
    precision_of: str | Sequence[str] | None = None,
    budget: str | float | None = None,
    most: int | None = None,
    **settings: Any,
) -> Comparison:
    """Compare scenarios with the first of them, with the same people in each, and fill the results folder.

    Args:
        scenarios: names of scenarios (stacked with a plus sign), places, or a mapping that names places.
        replications: how many; None for the documented default.
        overrides: of the place, for every scenario given by name, as on the command line.
        precision, precision_of, budget, most: as for `run`, of the paired differences to the first scenario.
        settings: seed, jobs, engine, out, keep_spells, window, progress, command, executor, address; see
            `settings.Settings`. For scenarios given by name also start_date, days, warm_up_days, policy_start, scale
            and census.

    Raises PlaceError for a mistake in the configuration. Cells that fail are told in `failures`.
    """
    do = _runner(precision, precision_of, budget, most)
    places, chosen = _named_places(scenarios, replications, overrides, settings)
    found = comparing.compare(places, chosen, do)
    comparison = Comparison(found.out, found.places, found.failures, found.notices, found.interrupted)
    comparison.finish()
    return comparison


def select(
    scenarios: Sequence[Place | str] | Mapping[str, Place],
    measure: str = "delayed_patients",
    *,
    indifference: float | None = None,
    probability: float = 0.95,
    budget: str | float | None = None,
    most: int | None = None,
    replications: int | None = None,
    overrides: Sequence[str] = (),
    **settings: Any,
) -> Selection:
    """Run replications where they matter until it is known which scenario is best, and fill the results folder.

    Args:
        scenarios, overrides, settings: as for `compare`.
        measure: a headline measure; fewer is better, or more, as the measure has it.
        indifference: the smallest difference worth finding, in the measure's unit; needed.
        probability: of choosing the best, when it is better than each other by at least the indifference.
        budget, most: stop undecided after so much time (default 30 minutes), so many replications of one (500).
        replications: refused, since it finds how many each needs.

    Raises PlaceError for a mistake in the configuration.
    """
    question = selecting.Question.of(measure, indifference, probability, budget, most)
    places, chosen = _named_places(scenarios, replications, overrides, settings)
    named = dict(places) if isinstance(places, Mapping) else comparing.name_places(places)
    found = selecting.select(named, chosen, question)
    selection = Selection(found.out, found.places, found.failures, found.notices, found.interrupted)
    selection.finish()
    return selection


def sweep(
    *overrides: str,
    replications: int | None = None,
    design: str = "grid",
    points: int | None = None,
    table: str | Path | None = None,
    scenarios: Sequence[str] = (),
    measures: str | Sequence[str] = (),
    **settings: Any,
) -> Sweep:
    """Run every point of a design, compare each with the place as it is, and fill the results folder.

    Args:
        overrides: as on the command line; those with several values are varied: ``KEY=60,80``, ``range(80,161,20)``,
            and with lhs or sobol ``interval(80,160)``.
        replications: how many of each point; None for the documented default.
        design: grid, lhs or sobol; points: how many of these.
        table: a CSV file, one row a scenario and one column a setting, instead of a design.
        scenarios: each point in each of these; the first is the one compared with.
        measures: what is drawn; the first decides which points are best. Default: `sweep.DEFAULT_MEASURES`.
        settings: as for `run`, without those of the run itself: these are overrides here, such as ``"days=90"``.

    Raises PlaceError for a mistake in the configuration.
    """
    asked = as_measures(measures, "measure") if measures else ()
    found = sweeping.sweep(
        overrides,
        Settings.of(replications=replications, **settings),
        design=design,
        points=points,
        table=table,
        scenarios=scenarios,
        measures=asked,
    )
    shown = Sweep(found.out, found.places, found.failures, found.notices, found.interrupted)
    shown.finish()
    return shown


def _runner(
    precision: str | float | None,
    precision_of: str | Sequence[str] | None,
    budget: str | float | None,
    most: int | None,
) -> Callable[..., PlainResult]:
    """What does the replications: so many, or until they are enough."""
    if precision is not None:
        return partial(run_until, precision=Precision.read(precision, precision_of, budget, most))
    for name, given in (("precision_of", precision_of), ("budget", budget), ("most", most)):
        if given is not None:
            raise PlaceError(f"{name}: {given!r} was given; allowed: beside precision=, such as precision=5%.")
    return runner.run_all


def _named_places(
    scenarios: Sequence[Place | str] | Mapping[str, Place],
    replications: int | None,
    overrides: Sequence[str],
    settings: dict[str, Any],
) -> tuple[list[Place] | Mapping[str, Place], Settings]:
    """The places of a comparison, and how it is made; the settings of the run count for scenarios given by name."""
    if isinstance(scenarios, str):
        raise PlaceError(f"scenarios: {scenarios!r} was given; allowed: a list of at least two.")
    of_run = _taken_of_run(scenarios.values() if isinstance(scenarios, Mapping) else scenarios, settings)
    return _places(scenarios, (*overrides, *of_run)), Settings.of(replications=replications, **settings)


def _taken_of_run(what: Iterable[Place | str], settings: dict[str, Any]) -> list[str]:
    """The settings of the run as overrides for scenarios given by name; they are taken out of `settings`.

    Raises PlaceError where one of `what` is a place, whose run is made, and for a setting that is none.
    """
    of_run = [f"{name}={_in_words(settings.pop(name))}" for name in Run.model_fields if name in settings]
    if of_run and any(isinstance(one, Place) or _is_file(one) for one in what):
        told = f"{', '.join(of_run)} was given beside places"
        raise PlaceError(f"{told}; allowed: load('{of_run[0]}', ...) for each place.")
    if unknown := settings.keys() - SETTINGS:
        raise refuse("setting", min(unknown), "one of", (*Settings.model_fields, *Run.model_fields))
    return of_run


def _in_words(value: object) -> str:
    """A setting's value as an override has it."""
    return "null" if value is None else str(value)


def read(out: str | Path) -> Result | Comparison | Selection | Sweep:
    """The result in a folder that an earlier experiment left. Raises PlaceError when it holds none."""
    manifest = Store(out).manifest
    kinds: dict[str, type[Comparison | Selection | Sweep]] = {"sweep": Sweep}
    if manifest.selection is not None:  # until its end a selection is a comparison
        kinds["select"] = Selection
    several = len(manifest.keys) > 1
    return kinds.get(manifest.verb, Comparison if several else Result).read(out)


def as_place(what: Place | str, overrides: Sequence[str] = ()) -> Place:
    """A place as it is, a scenario by its name, or the configuration an earlier run wrote."""
    if isinstance(what, Place):
        return what
    return read_config(what) if _is_file(what) else load(f"scenario={what}", *overrides)


def _is_file(what: str) -> bool:
    """Is it the configuration of an earlier run, and not the name of a scenario?"""
    return what.endswith((".yaml", ".yml"))


def _places(
    scenarios: Sequence[Place | str] | Mapping[str, Place], overrides: Sequence[str]
) -> list[Place] | Mapping[str, Place]:
    if isinstance(scenarios, Mapping):
        return scenarios
    names = [what for what in scenarios if isinstance(what, str) and not _is_file(what)]
    if names and len(names) == len(scenarios):
        return load_scenarios(f"scenarios=[{','.join(names)}]", *overrides)
    return [as_place(what, overrides) for what in scenarios]
