"""`flowsim select`: find the best of several scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowsim.cli.common import DETAIL, Verb, as_arguments, listed, no_words, report, take, take_detail
from flowsim.place import Place

HELP = """\
Usage: flowsim select 'scenarios=[a,b,c]' indifference=D [measure=NAME] [probability=0.95] [key=value ...]
       flowsim select 'KEY=VALUES' indifference=D ...

Finds the best of several scenarios, or of several values as in `flowsim sweep`, with no more replications than it takes
(procedure KN of Kim and Nelson 2001). Whoever falls clearly behind gets no more.

  measure=NAME         a headline measure (default delayed_patients)
  indifference=D       the smallest difference worth finding, in the measure's unit; needed
  probability=0.95     of naming the best, where it is better than each other by D or more
  'guards=[a,b]'       measures of which none may be clearly worse, in what is selected, than in the first scenario
                       (of several values: than in the place as it is); guards=[] for none
  budget=30min, most=N stop undecided after this long, or so many replications of one scenario (default 500)

Examples:
  flowsim select 'scenarios=[seven_day_working,dom_care_400_hours,discharge_to_assess]' indifference=5
  flowsim select 'place.services.reablement.capacity=100,120,140' measure=money_spent indifference=100000
"""


def do(words: list[str]) -> int:
    """Select among scenarios, or among the points that settings with several values make."""
    no_words(words)
    detail, words = take_detail(words)
    from flowsim.declare.composition import load_scenarios, load_settings
    from flowsim.declare.overrides import dimensions

    keys, rest = take(words, "measure", "indifference", "probability", "budget", "most", "guards")
    varied, fixed = dimensions(rest)
    settings = load_settings(*fixed)
    places: Sequence[Place] | Mapping[str, Place] = _points(rest) if varied else load_scenarios(*rest)

    from flowsim.api import select

    return report(select(places, **as_arguments(settings), **keys), detail)


def _points(overrides: list[str]) -> dict[str, Place]:
    """The points of a sweep by name, the place as it is first: what guards are held against."""
    from flowsim.questions.sweep import compose_sweep

    keys, rest = take(overrides, "scenarios")
    return compose_sweep(rest, scenarios=listed(keys.get("scenarios", [])))[0]


VERB = Verb(
    do,
    "find the best of several scenarios, with a stated probability of being right",
    HELP,
    keys=(DETAIL, "measure", "indifference", "probability", "budget", "most", "guards"),
)
