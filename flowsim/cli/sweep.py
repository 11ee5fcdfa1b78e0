"""`flowsim sweep`: run every combination of values, or the points of a design."""

from __future__ import annotations

from flowsim.cli.common import DETAIL, Verb, as_arguments, listed, no_words, report, take, take_detail

HELP = """\
Usage: flowsim sweep 'KEY=VALUES' ... [design=grid|lhs|sobol] [points=N] [key=value ...]
       flowsim sweep table=FILE.csv [key=value ...]

Runs every combination of values with the same people, compares each with the place as it is, and writes a folder of
results with sweep.csv (a row a point and measure) and a picture. Quote what has brackets or commas.

  KEY=60,80            these values; KEY is a place.KEY, scenario or policy_start
  KEY=range(80,161,20) from 80, in steps of 20, below 161; also choice(a,b) and scenario=glob(*)
  KEY=interval(80,160) between these, for a design: whole numbers where the setting is one now
  KEY=path(+3%,5)      year by year: +3 %, +6.09 % and so on for five years, each a run of its own beside today
  design=lhs           points=N of a Latin hypercube over intervals; design=sobol: of a Sobol sequence, N a power of two
  table=FILE.csv       one row a scenario, one column a setting, and a column `name` if you like
  'scenarios=[a,b]'    each point in each of these; the first is compared with
  measure=NAME         what is drawn, one or several in a list; the first says which points are best
  'guards=[a,b]'       measures of which none may be clearly worse at the best point than now; guards=[] for none
  replications=, seed=, jobs=, out=, charts= ... as for `flowsim run`

Examples:
  flowsim sweep 'place.services.reablement.capacity=range(80,161,20)' 'place.services.community_beds.capacity=60,80'
  flowsim sweep 'place.services.reablement.capacity=interval(80,160)' design=lhs points=50 replications=5
  flowsim sweep 'place.streams.emergency.rate=path(+1%,5)' 'scenarios=[baseline,home_first]'
  flowsim sweep table=my_scenarios.csv measure=money_spent
"""


def do(words: list[str]) -> int:
    no_words(words)
    detail, words = take_detail(words)
    from flowsim.declare.composition import load_settings
    from flowsim.declare.overrides import dimensions

    keys, rest = take(words, "design", "points", "table", "measure", "scenarios", "guards")
    settings = load_settings(*dimensions(rest)[1])

    from flowsim.api import sweep

    scenarios, measures = listed(keys.pop("scenarios", [])), keys.pop("measure", ())
    return report(sweep(*rest, scenarios=scenarios, measures=measures, **as_arguments(settings), **keys), detail)


VERB = Verb(
    do,
    "vary settings over lists, ranges, designs or a table, and see what each does",
    HELP,
    keys=(DETAIL, "design", "points", "table", "measure", "guards"),
)
