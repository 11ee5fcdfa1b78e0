"""What people's uniforms mean in a place: what is decided about each, and how long things take.

Exact and vectorised; no randomness is made here (that is the cohort's). A batch of people is planned by one place's
tables: inverse CDFs turn a person's uniform for a purpose into an option, a stay or a number of hours.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import numpy as np

from flowsim.model.cohort import Cohort
from flowsim.model.laws import Law, law_of
from flowsim.model.people import (
    CODE,
    EVERYBODY,
    RULES,
    STATES,
    Column,
    Levels,
    People,
    Who,
    among,
    for_each,
    how_many,
    matching,
    numbers,
    numbers_or_one,
    of,
    positions,
    size,
)
from flowsim.model.tables import MOST, NONE
from flowsim.place import (
    UNIT_MINUTES,
    Choice,
    Distribution,
    Place,
    PlaceError,
    Planned,
    Service,
    Stage,
    Table,
)


class Sampler:
    """Inverse CDFs for a batch: what a person's uniform means under this place's tables.

    `asked_anew`: of people unfit again, for whom what they waited for before the start is behind them.
    """

    def __init__(self, people: People, levels: Levels, cohort: Cohort, asked_anew: bool = False) -> None:
        self.people, self.levels, self.cohort = people, levels, cohort
        self.asked_anew = asked_anew

    def uniform(self, purpose: str, who: Who) -> np.ndarray:
        return self.cohort.uniform(purpose, of(self.people.number, who))

    def table(self, table: Table, who: Who) -> np.ndarray:
        return numbers(table, self.people, who, self.levels)

    def _given(self, table: Table, who: Who) -> np.ndarray:
        return numbers_or_one(table, self.people, who, self.levels)

    def law(self, what: Distribution, who: Who) -> Law:
        """A distribution with the parameters of each of `who`, before its limits and what is added."""
        return law_of(what, lambda table: self._given(table, who))

    def draw(self, what: Distribution, purpose: str, who: Who) -> np.ndarray:
        """A quantity in minutes (or, without a unit, as it is) for each of `who`: (number of `who`,) float64."""
        return for_each(self._draw(what, purpose, who), how_many(self.people, who))

    def minutes(self, what: Distribution, purpose: str, who: Who) -> Column:
        """Whole minutes for each of `who`, at least one: (number of `who`,) int32, or one where it is fixed."""
        minutes = whole_minutes(self._draw(what, purpose, who))
        return int(minutes[0]) if len(minutes) == 1 else minutes

    def _draw(self, what: Distribution, purpose: str, who: Who) -> np.ndarray:
        return self._finish(what, purpose, lambda: self._limited(what, self._quantile(what, purpose, who), who))

    def stay(self, stage: Stage, name: str, who: Who, whole: bool = False) -> np.ndarray:
        """Minutes of a stage's work, at least one, for each of `who`: (number of `who`,) int32.

        For people of a caseload who are in the stage at the start, what remains of it, or (`whole`) all of it.
        """
        assert stage.duration is not None
        minutes = whole_minutes(self.draw(stage.duration, f"{name}/duration", who))
        found = self.people.found
        if found is not None and found.stage_code[name] in self._found_in:
            here = of(self.people.first, who) == found.stage_code[name]
            rule_of = np.where(here, of(found.rule, who), NONE)
            for code, rule in enumerate(RULES):
                those = np.flatnonzero(rule_of == code)
                if not len(those):
                    continue
                if rule != "over":
                    left = self._found(stage.duration, f"{name}/duration", among(who, those), rule, whole)
                    minutes[those] = whole_minutes(left)
                elif not whole:
                    minutes[those] = 1
        return minutes

    @functools.cached_property
    def _found_in(self) -> set[int]:
        """Codes of the stages in which anybody was found."""
        found = self.people.found
        return set() if found is None else set(self.people.first[found.rule >= 0].tolist())

    @functools.cached_property
    def _found_over(self) -> tuple[set[int], set[int]]:
        """Codes of the stages in which anybody was found ready or waiting, and of those to which these people go."""
        found = self.people.found
        over = slice(0) if found is None else np.flatnonzero(found.state)
        return set(self.people.first[over].tolist()), set() if found is None else set(found.next[over].tolist())

    def wait(self, what: Distribution, purpose: str, who: Who, waited: np.ndarray | None) -> Column:
        """Minutes until something happens to those who wait, at least one: (number of `who`,) int32, or one for all.

        `waited`: minutes for which they have waited already without its happening, (number of `who`,); None for nobody.
        """
        minutes = self.minutes(what, purpose, who)
        if waited is None or not waited.any():
            return minutes
        minutes = np.array(np.broadcast_to(minutes, len(waited)))
        so_far = np.flatnonzero(waited)
        minutes[so_far] = whole_minutes(
            self._finish(
                what, purpose, lambda: self._beyond(what, purpose, among(who, so_far), waited[so_far], whole=False)
            )
        )
        return minutes

    def waited(self, name: str, who: Who, queueing: bool = False) -> np.ndarray | None:
        """Minutes since those found ready or waiting in a stage were ready (or began `queueing` for it, where it is the
        stage they go to next): (number of `who`,) float64; None where nobody was found so, or what follows is asked
        anew."""
        return self._since(name, who, "waiting" if queueing else "ready", queueing)

    def delayed_before(self, name: str, who: Who) -> np.ndarray | None:
        """Minutes of delay before the start of those found ready or waiting for this stage: (number of `who`,) float64,
        or None."""
        return self._since(name, who, "ready", queueing=True)

    def _since(self, name: str, who: Who, least: str, queueing: bool) -> np.ndarray | None:
        """Minutes for which those who go to a stage next (`queueing`), or are in it, have been in their state, where
        that is `least` or later; 0 of all others."""
        found = self.people.found
        if found is None or self.asked_anew or found.stage_code[name] not in self._found_over[queueing]:
            return None
        here = of(found.next if queueing else self.people.first, who) == found.stage_code[name]
        here &= of(found.state, who) >= STATES.index(least)
        return np.where(here, of(found.elapsed, who), 0.0) if here.any() else None

    def state_in(self, name: str, who: Who) -> np.ndarray | None:
        """How those found in a stage at the start were found, an index into `STATES`, 0 for all others: (number of
        `who`,); None where nobody was found otherwise."""
        found = self.people.found
        if found is None or self.asked_anew or found.stage_code[name] not in self._found_over[False]:
            return None
        return np.where(of(self.people.first, who) == found.stage_code[name], of(found.state, who), 0)

    def units(self, stage: Stage, name: str, service: Service, who: Who) -> Column:
        """What each of `who` takes of the service in this stage, in engine units: (number of `who`,) int32, or one."""
        if stage.units is None:
            return 1
        drawn = self.draw(stage.units, f"{stage.sized_as or name}/units", who) * service.units_each
        return np.clip(np.rint(drawn), 1, MOST).astype(np.int32)

    def _found(self, what: Distribution, purpose: str, who: Who, rule: str, whole: bool) -> np.ndarray:
        """The stay of people found in it at the start, by the same uniform as a whole one."""

        def values() -> np.ndarray:
            if rule == "beyond_elapsed":
                assert self.people.found is not None
                return self._beyond(what, purpose, who, of(self.people.found.elapsed, who), whole)
            if rule == "uniform_of_stay":
                stay = self._limited(what, self._quantile(what, purpose, who), who)
                one = 1.0 if what.unit is None else 1440.0 / UNIT_MINUTES[what.unit]
                return stay if whole else one + (stay - one) * self.uniform(f"{purpose}/moment", who)
            if what.exponential is not None and what.add is None:
                # an exponential is its own residual: what went before is another such
                left = self._limited(what, self._quantile(what, purpose, who), who)
                return left + self._quantile(what, f"{purpose}/moment", who) if whole else left
            stay = self._limited(what, self._drawn_found(what, purpose, who), who)
            return stay if whole else stay * self.uniform(f"{purpose}/moment", who)

        return self._finish(what, purpose, values)

    def _drawn_found(self, what: Distribution, purpose: str, who: Who) -> np.ndarray:
        """What was drawn for people found at a moment, before what is added: each stay as often as it is long."""
        law = self.law(what, who)
        drawn = self._drawn_by(purpose, who, law, law.found)
        if what.add is None:
            return drawn
        # the moment falls into what is added, or into what was drawn: then alone that is likelier to be long
        added = self._given(what.add, who)
        in_added = self.uniform(f"{purpose}/added", who) * (law.mean() + added) < added
        return np.where(in_added, self._drawn_by(purpose, who, law, law.quantile), drawn)

    def _beyond(self, what: Distribution, purpose: str, who: Who, minutes: np.ndarray, whole: bool) -> np.ndarray:
        """A time known to last longer than `minutes`: the conditional quantile, less these minutes unless `whole`."""
        elapsed = minutes / (UNIT_MINUTES[what.unit] if what.unit else 1)
        law, known = self.law(what, who), self._drawn(what, elapsed, who)
        drawn = self._drawn_by(purpose, who, law, lambda u: law.beyond(u, known))
        stay = np.maximum(self._limited(what, drawn, who), elapsed)
        return stay if whole else stay - elapsed

    def _drawn(self, what: Distribution, value: np.ndarray, who: Who) -> np.ndarray:
        """What has to be drawn for a value: less what is added, and nothing (0) where `least` alone gives it."""
        drawn = value if what.add is None else value - self._given(what.add, who)
        return np.where(value < (what.least or 0.0), 0.0, np.maximum(drawn, 0.0))

    def survival(self, what: Distribution, minutes: np.ndarray, who: Who) -> np.ndarray:
        """The chance of a time longer than `minutes`, for each of `who`: float64."""
        elapsed = minutes / (UNIT_MINUTES[what.unit] if what.unit else 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = self.law(what, who).survival(self._drawn(what, elapsed, who))
        return np.where(elapsed >= (what.most or np.inf), 0.0, chance)

    def mean(self, what: Distribution, who: Who) -> np.ndarray:
        """The mean of a distribution without its limits, for each of `who`, in its own unit: float64."""
        mean = self.law(what, who).mean()
        return for_each(mean if what.add is None else mean + self._given(what.add, who), how_many(self.people, who))

    def _limited(self, what: Distribution, values: np.ndarray, who: Who) -> np.ndarray:
        if what.add is not None:
            values = values + self._given(what.add, who)
        return values if what.least is None and what.most is None else np.clip(values, what.least, what.most)

    @staticmethod
    def _finish(what: Distribution, purpose: str, values: Callable[[], np.ndarray]) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is no finite number is refused here
            minutes = values() * (UNIT_MINUTES[what.unit] if what.unit else 1)
        if not np.isfinite(minutes).all():
            raise PlaceError(
                f"place.stages: {purpose!r} comes to {minutes[~np.isfinite(minutes)][0]} for somebody; allowed: tables "
                "that give everybody a finite number."
            )
        return minutes

    def _quantile(self, what: Distribution, purpose: str, who: Who) -> np.ndarray:
        law = self.law(what, who)
        return self._drawn_by(purpose, who, law, law.quantile)

    def _drawn_by(self, purpose: str, who: Who, law: Law, draw: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What `draw` makes of the uniforms of `who` for a purpose; none are made where nothing is left to chance."""
        return draw(np.zeros(1) if law.is_certain else self.uniform(purpose, who))


def whole_minutes(values: np.ndarray) -> np.ndarray:
    """Whole minutes, at least one, and small enough to add up."""
    whole = np.rint(values)
    np.maximum(whole, 1, out=whole)
    np.minimum(whole, MOST, out=whole)
    return whole.astype(np.int32)


def minutes_at(what: Distribution, u: np.ndarray) -> np.ndarray:
    """The quantiles of a time that depends on nobody, in minutes: (n,) in, (n,) or, of a fixed one, (1,)."""

    def given(table: Table) -> np.ndarray:
        return np.array([table.leaf if isinstance(table.leaf, float) else 0.0])

    values = law_of(what, given).quantile(u)
    if what.add is not None:
        values = values + given(what.add)
    if what.least is not None or what.most is not None:
        values = np.clip(values, what.least, what.most)
    return values * (UNIT_MINUTES[what.unit] if what.unit else 1)


# ---------------------------------------------------------------------------------------------------------------------
# Choices


def decide(place: Place, people: People, levels: Levels, cohort: Cohort, only: set[str] | None = None) -> None:
    """Make every choice (or `only` some) about everybody, in the place's order; adds to `people.codes`."""
    sampler = Sampler(people, levels, cohort)
    for name, choice in place.choices.items():
        if only is not None and name not in only:
            continue
        settled = people.person_codes.get(name)
        codes = np.full(len(people), NONE, dtype=CODE) if settled is None else settled.copy()
        asked = matching(choice.when, people, EVERYBODY, levels)
        if settled is not None:
            asked &= settled == NONE
        who = positions(asked)
        if choice.planned is not None:
            codes[who] = _as_planned(name, choice.planned, place, sampler, who)
        elif size(who):
            codes[who] = _options(name, choice, sampler, who)
        people.codes[name] = codes


def asked_for(place: Place, tables: Iterable[Table], choices: Iterable[str] = ()) -> set[str]:
    """The choices that have to be made before these tables can be read, with these choices themselves."""
    attributes: set[str] = set()
    asked = {node.by for table in tables for node in table.nodes() if node.by is not None} | set(choices)
    while asked:
        name = asked.pop()
        choice = place.choices.get(name)
        if choice is None or name in attributes:
            continue
        attributes.add(name)
        of_choice = [table for table in (choice.shares, choice.chance) if table is not None]
        if choice.planned is not None:
            duration = place.stages[choice.planned.stage].duration
            of_choice += [*choice.planned.below.tables(), *(duration.tables() if duration is not None else ())]
        asked |= {node.by for table in of_choice for node in table.nodes() if node.by is not None} | set(choice.when)
    return attributes


def _as_planned(name: str, planned: Planned, place: Place, sampler: Sampler, who: Who) -> np.ndarray:
    """Whose own stay in a stage is planned to be shorter than a time: yes or no, by the stay's own uniform."""
    stage = place.stages[planned.stage]
    yes, no = (sampler.levels.code(name, option) for option in ("yes", "no"))
    try:
        stay = sampler.stay(stage, planned.stage, who, whole=True)
        below = sampler.draw(planned.below, f"choice/{name}", who)
    except PlaceError as mistake:
        raise PlaceError(f"place.choices.{name}.planned: {mistake}") from None
    return np.where(stay < whole_minutes(below), yes, no)


def _options(name: str, choice: Choice, sampler: Sampler, who: Who) -> np.ndarray:
    """The codes of what is chosen for each of `who`: (number of `who`,) `CODE`."""
    purpose = f"choice/{name}"
    if choice.chance is None:
        split = sampler.levels.split(name, choice)
        if split.is_certain:
            return split.certain(sampler.people, who)
        return split.at(sampler.uniform(purpose, who), sampler.people, who)
    yes, no = (CODE(sampler.levels.code(name, option)) for option in ("yes", "no"))
    return no + (yes - no) * (sampler.uniform(purpose, who) < sampler.table(choice.chance, who))
