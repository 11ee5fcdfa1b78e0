"""`flowsim results`: ask a results folder."""

from __future__ import annotations

import sys
from pathlib import Path

from flowsim.cli.common import Verb
from flowsim.place import PlaceError

HELP = """\
Usage: flowsim results OUT ['SQL'] [to=FILE.csv|FILE.parquet]
       flowsim results OUT rebuild

Asks a results folder. Without SQL: the headline measures of every scenario. In SQL (DuckDB's) there are the views

  totals       scenario, replication, measure, "where", "of", unit, value: what holds of the whole place
  results      the same, and beside it each site and locality ("where"), service, pathway, cause and so on ("of")
  nights       scenario, replication, date, "where", "of", state, count
  cells        every finished or failed cell: scenario, replication, state, seed, engine, window, key, file, error
  scenarios    scenario, key, replications, title, changes
  settings     scenario, key, value: every number of every place

`where` is a word of SQL, so the column needs its quotes. rebuild makes manifest and tables anew from the cells alone
and sets aside those that are damaged.

Examples:
  flowsim results outputs/mine
  flowsim results outputs/mine "select scenario, avg(value) from totals where measure='delayed_patients' group by 1"
  flowsim results outputs/mine "select * from cells where state = 'failed'" to=failed.csv
  flowsim results outputs/mine rebuild
"""


def do(words: list[str]) -> int:
    to = [word.removeprefix("to=") for word in words if word.startswith("to=")]
    out, *rest = [word for word in words if not word.startswith("to=")] or [""]
    if not out or len(rest) > 1 or len(to) > 1:
        raise PlaceError(f"results: {' '.join(words)!r} was given; allowed: OUT, and SQL in quotes, and to=FILE.")
    if not Path(out).is_dir():
        raise PlaceError(
            f"results: {out!r} was given, where no folder is; allowed: one that run, compare, sweep or select wrote."
        )
    from flowsim.folder import catalogue
    from flowsim.folder.result import Result
    from flowsim.folder.store import Store
    from flowsim.present import answer

    store = Store(out)
    if rest == ["rebuild"]:
        done, notices = catalogue.rebuild(store)
        print(*notices, *(f"{name}: {cells} cells" for name, cells in done.items()), sep="\n")
        return 0
    answers = catalogue.ask(store, rest[0]) if rest else answer.headline(Result.read(out))
    if rest and (said := answer.remark(rest[0], answers, store)):
        print(said, file=sys.stderr)
    if to:
        catalogue.write(answers, Path(to[0]))
        print(f"Written: {to[0]} ({len(answers):,} row{'' if len(answers) == 1 else 's'})")
    else:
        answer.show(answers)
    return 0


VERB = Verb(do, "ask a results folder, in SQL if you like; rebuild its catalogue", HELP, overrides=False)
