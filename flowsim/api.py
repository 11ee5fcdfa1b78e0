"""What `import flowsim` offers, and what the command line calls: load, run, compare, sweep, select, read.

Experiments know nothing of charts; here the two meet. After a run or a comparison the results folder is complete:
numbers, summary and charts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flowsim.cells import runner
from flowsim.declare.composition import load, load_scenarios
from flowsim.declare.settings import Charts, Settings
from flowsim.folder.configuration import read_config
from flowsim.folder.result import Result as PlainResult
from flowsim.folder.store import Store
from flowsim.place import Place, PlaceError, Run, refuse
from flowsim.questions import compare as comparing
from flowsim.questions import select as selecting
from flowsim.questions import sweep as sweeping
from flowsim.questions.precision import Precision, as_measures, run_until

__all__ = ["Comparison", "Result", "Selection", "Sweep", "compare", "load", "read", "run", "select", "sweep"]

SETTINGS = tuple(name for name in Settings.model_fields if name != "replications")


class _Shown:
    """What a person sees of a result: charts, the report, and how it looks in a notebook."""

    def chart(self: Any, path: str | Path, kind: str = "differences") -> Path:
        """Draw a chart to a .png or .svg file.

        Kinds: differences, forecast, emergency, delayed, causes, weekdays, warm_up. Raises PlaceError for another kind
        or ending, or when the result has nothing to show of that kind.
        """
        from flowsim.present.pictures import registry

        return registry.save(self, path, kind)

    def show(self: Any) -> None:
        """Print the report to the terminal."""
        from flowsim.present.pages.registry import page_of
        from flowsim.present.writers import terminal

        pictures = sorted(path.relative_to(self.out).as_posix() for path in (self.out / "charts").glob("*.png"))
        terminal.show(page_of(self, pictures, brief=True))

    def finish(self: Any, charts: Charts = True) -> None:
        """Write the summary into the results folder, and the charts: png and svg, png alone, or none."""
        from flowsim.present.pages.registry import page_of
        from flowsim.present.writers.registry import write

        drawn = self._draw_all(charts) if charts and not self.results.empty else []
        pictures = [path.relative_to(self.out).as_posix() for path in drawn if path.suffix == ".png"]
        write(page_of(self, pictures), self.out / "summary.md")

    def _draw_all(self: Any, charts: Charts) -> list[Path]:
        from flowsim.present.pictures import registry

        return registry.save_all(self, self.out / "charts", (".png",) if charts == "png" else (".png", ".svg"))


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

    def chart(self, path: str | Path, kind: str | None = None, measures: Sequence[str] = ()) -> Path:
        """Draw lines, heat or parallel (default: what fits the number of settings) to a .png or .svg file.

        Raises PlaceError.
        """
        from flowsim.present.pictures import registry

        return registry.save(self, path, kind, measures=measures)

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
        settings: seed, jobs, engine, out, keep_spells, window, charts, progress, command, executor, address; see
            `settings.Settings`. For a scenario given by name also start_date, days, warm_up_days, policy_start, scale
            and census.

    Raises PlaceError for a mistake in the configuration. Cells that fail are told in `failures`.
    """
    do = _runner(precision, precision_of, budget, most)
    one = as_place(place, _taken_of_run([place], settings))
    chosen = Settings.of(replications=replications, **settings)
    found = do({one.scenario.name: one}, chosen, verb="run")
    result = Result(found.out, found.places, found.failures, found.notices, found.interrupted)
    result.finish(chosen.charts)
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
        settings: seed, jobs, engine, out, keep_spells, window, charts, progress, command, executor, address; see
            `settings.Settings`. For scenarios given by name also start_date, days, warm_up_days, policy_start, scale
            and census.

    Raises PlaceError for a mistake in the configuration. Cells that fail are told in `failures`.
    """
    do = _runner(precision, precision_of, budget, most)
    places, chosen = _named_places(scenarios, replications, overrides, settings)
    found = comparing.compare(places, chosen, do)
    comparison = Comparison(found.out, found.places, found.failures, found.notices, found.interrupted)
    comparison.finish(chosen.charts)
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
    selection.finish(chosen.charts)
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
    chosen = Settings.of(replications=replications, **settings)
    found = sweeping.sweep(
        overrides,
        chosen,
        design=design,
        points=points,
        table=table,
        scenarios=scenarios,
        measures=asked,
    )
    shown = Sweep(found.out, found.places, found.failures, found.notices, found.interrupted)
    shown.finish(chosen.charts)
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
