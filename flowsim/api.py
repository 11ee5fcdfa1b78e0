"""What `import flowsim` offers, and what the command line calls: load, run, compare, sweep, select, read.

Each verb is a function, and its answer one class: `Result`, or what adds tables to it in `questions/` (`Comparison`,
`Selection`, `Sweep`). Answers know nothing of charts and reports, which stand in a room above theirs. They meet here:
the last line gives `Result.views` the functions `chart`, `show` and `finish`, and ``answer.chart("differences.png")``
calls the first of them. When a verb returns, its results folder is complete: numbers, summary and charts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flowsim.cells import runner
from flowsim.declare.composition import load, load_scenarios
from flowsim.declare.settings import Settings
from flowsim.folder.at_work import at_work
from flowsim.folder.configuration import read_config
from flowsim.folder.result import Result, Views
from flowsim.folder.store import Store
from flowsim.place import Place, PlaceError, Run, refuse
from flowsim.questions import compare as comparing
from flowsim.questions import select as selecting
from flowsim.questions import sweep as sweeping
from flowsim.questions.compare import Comparison
from flowsim.questions.guards import as_guards
from flowsim.questions.precision import Precision, as_measures, run_until
from flowsim.questions.select import Selection
from flowsim.questions.sweep import Sweep

__all__ = ["Comparison", "Result", "Selection", "Sweep", "compare", "load", "read", "run", "select", "sweep"]

DETAILS = ("answer", "all")
"""How much of a report is printed: the answer on one screen, or all that a planner asks for first."""
SETTINGS = tuple(name for name in Settings.model_fields if name != "replications")


@at_work()
def run(
    place: Place | str | Path = "baseline",
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
    result = do({one.scenario.name: one}, chosen, verb="run")
    result.finish(chosen.charts)
    return result


@at_work()
def compare(
    scenarios: Sequence[Place | str | Path] | Mapping[str, Place],
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
    comparison = comparing.compare(places, chosen, do)
    comparison.finish(chosen.charts)
    return comparison


@at_work()
def select(
    scenarios: Sequence[Place | str | Path] | Mapping[str, Place],
    measure: str = "delayed_patients",
    *,
    indifference: float | None = None,
    probability: float = 0.95,
    budget: str | float | None = None,
    most: int | None = None,
    guards: str | Sequence[str] | None = None,
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
        guards: measures of which none may be clearly worse, in what is selected, than in the first scenario; default
            `guards.DEFAULT_GUARDS`, ``[]`` for none.
        replications: refused, since it finds how many each needs.

    Raises PlaceError for a mistake in the configuration.
    """
    question = selecting.Question.of(measure, indifference, probability, budget, most, as_guards(guards))
    places, chosen = _named_places(scenarios, replications, overrides, settings)
    named = dict(places) if isinstance(places, Mapping) else comparing.name_places(places)
    selection = selecting.select(named, chosen, question)
    selection.finish(chosen.charts)
    return selection


@at_work()
def sweep(
    *overrides: str,
    replications: int | None = None,
    design: str = "grid",
    points: int | None = None,
    table: str | Path | None = None,
    scenarios: Sequence[str] = (),
    measures: str | Sequence[str] = (),
    guards: str | Sequence[str] | None = None,
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
        guards: measures of which none may be clearly worse, at the best point, than in the place as it is; default
            `guards.DEFAULT_GUARDS`, ``[]`` for none.
        settings: as for `run`, without those of the run itself: these are overrides here, such as ``"days=90"``.

    Raises PlaceError for a mistake in the configuration.
    """
    asked = as_measures(measures, "measure") if measures else ()
    chosen = Settings.of(replications=replications, **settings)
    swept = sweeping.sweep(
        overrides,
        chosen,
        design=design,
        points=points,
        table=table,
        scenarios=scenarios,
        measures=asked,
        guards=as_guards(guards),
    )
    swept.finish(chosen.charts)
    return swept


def _runner(
    precision: str | float | None,
    precision_of: str | Sequence[str] | None,
    budget: str | float | None,
    most: int | None,
) -> Callable[..., Result]:
    """What does the replications: so many, or until they are enough."""
    if precision is not None:
        return partial(run_until, precision=Precision.read(precision, precision_of, budget, most))
    for name, given in (("precision_of", precision_of), ("budget", budget), ("most", most)):
        if given is not None:
            raise PlaceError(f"{name}: {given!r} was given; allowed: beside precision=, such as precision=5%.")
    return runner.run_all


def _named_places(
    scenarios: Sequence[Place | str | Path] | Mapping[str, Place],
    replications: int | None,
    overrides: Sequence[str],
    settings: dict[str, Any],
) -> tuple[list[Place] | Mapping[str, Place], Settings]:
    """The places of a comparison, and how it is made; the settings of the run count for scenarios given by name."""
    if isinstance(scenarios, str):
        raise PlaceError(f"scenarios: {scenarios!r} was given; allowed: a list of at least two.")
    of_run = _taken_of_run(scenarios.values() if isinstance(scenarios, Mapping) else scenarios, settings)
    return _places(scenarios, (*overrides, *of_run)), Settings.of(replications=replications, **settings)


def _taken_of_run(what: Iterable[Place | str | Path], settings: dict[str, Any]) -> list[str]:
    """The settings of the run as overrides for scenarios given by name; they are taken out of `settings`.

    Raises PlaceError where one of `what` is a place, whose run is made, and for a setting that is none.
    """
    of_run = [f"{name}={_in_words(settings.pop(name))}" for name in Run.model_fields if name in settings]
    if of_run and any(isinstance(one, Place) or _is_file(one) for one in what):
        given = f"{', '.join(of_run)} was given beside places"
        raise PlaceError(f"{given}; allowed: load('{of_run[0]}', ...) for each place.")
    if unknown := settings.keys() - SETTINGS:
        raise refuse("setting", min(unknown), "one of", (*Settings.model_fields, *Run.model_fields))
    return of_run


def _in_words(value: object) -> str:
    """A setting's value as an override has it."""
    return "null" if value is None else str(value)


def read(out: str | Path) -> Result | Comparison | Selection | Sweep:
    """The result in a folder that an earlier experiment left. Raises PlaceError when it holds none."""
    manifest = Store(out).manifest
    if manifest.verb == "sweep":
        return Sweep.read(out)
    if manifest.selection is not None:  # until its end a selection is a comparison
        return Selection.read(out)
    several = len(manifest.keys) > 1
    return (Comparison if several else Result).read(out)


def as_place(what: Place | str | Path, overrides: Sequence[str] = ()) -> Place:
    """A place as it is, a scenario by its name, or the configuration an earlier run wrote."""
    if isinstance(what, Place):
        return what
    return read_config(what) if _is_file(what) else load(f"scenario={what}", *overrides)


def _is_file(what: str | Path) -> bool:
    """Is it the configuration of an earlier run, and not the name of a scenario?"""
    return isinstance(what, Path) or what.endswith((".yaml", ".yml"))


def _places(
    scenarios: Sequence[Place | str | Path] | Mapping[str, Place], overrides: Sequence[str]
) -> list[Place] | Mapping[str, Place]:
    if isinstance(scenarios, Mapping):
        return scenarios
    names = [what for what in scenarios if isinstance(what, str) and not _is_file(what)]
    if names and len(names) == len(scenarios):
        return load_scenarios(f"scenarios=[{','.join(names)}]", *overrides)
    return [as_place(what, overrides) for what in scenarios]


# ---------------------------------------------------------------------------------------------------------------------
# What a person sees of an answer


def chart(result: Result, path: str | Path, kind: str | None = None, **options: Any) -> Path:
    """Draw a chart to a .png or .svg file.

    Args:
        result: what is drawn.
        path: where to.
        kind: differences, forecast, emergency, delayed, causes, weekdays, warm_up; of a sweep options, path,
            lines, heat, parallel; of several points or scenarios against.
            None for `main_chart` of the answer: differences; of a sweep what fits its points: options of a
            table, a path, else by the number of settings.
        options: of a sweep `measures`, which are drawn; of against the two.

    Raises PlaceError for another kind or ending, or when the result has nothing to show of that kind.
    """
    from flowsim.present.pictures import registry

    return registry.save(result, path, kind or result.main_chart, **options)


def show(result: Result, detail: str = "answer") -> None:
    """Print the report of a result to the terminal: the answer on one screen, or with ``detail="all"`` everything.

    Raises PlaceError for another detail.
    """
    if detail not in DETAILS:
        raise refuse("detail", detail, "one of", DETAILS)
    from flowsim.present.pages.registry import page_of
    from flowsim.present.writers import terminal

    pictures = sorted(path.relative_to(result.out).as_posix() for path in (result.out / "charts").glob("*.png"))
    (terminal.show if detail == "all" else terminal.show_answer)(page_of(result, pictures, brief=True))


def finish(result: Result, charts: bool | str = True) -> None:
    """Write the summary into the results folder, and the charts: png and svg, png alone, or none."""
    from flowsim.present.pages.registry import page_of
    from flowsim.present.writers.registry import write

    drawn = _draw_all(result, charts) if charts and not result.results.empty else []
    pictures = [path.relative_to(result.out).as_posix() for path in drawn if path.suffix == ".png"]
    write(page_of(result, pictures), result.out / "summary.md")


def _draw_all(result: Result, charts: bool | str) -> list[Path]:
    from flowsim.present.pictures import registry  # which imports Matplotlib: not where no charts are asked for

    return registry.save_all(result, result.out / "charts", (".png",) if charts == "png" else (".png", ".svg"))


Result.views = Views(chart, show, finish)
