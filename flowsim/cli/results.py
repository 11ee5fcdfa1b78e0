"""`flowsim results`: ask a results folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowsim.cli.common import DETAIL, Verb
from flowsim.place import PlaceError

if TYPE_CHECKING:
    import pandas as pd

HELP = """\
Usage: flowsim results OUT ['SQL'] [to=FILE.csv|FILE.parquet] [unsafe=true]
       flowsim results OUT pair=A,B [detail=all] [to=FILE.csv|FILE.parquet]
       flowsim results OUT against=MEASURE,MEASURE [to=FILE.png|FILE.csv|FILE.parquet]
       flowsim results OUT who[=SCENARIO]
       flowsim results OUT rebuild

Asks a results folder. Without SQL: the headline measures of every scenario. pair= compares B with A, any two scenarios
of a comparison; nothing is run again, and since the same people came in both, the differences are of pairs.
In SQL (DuckDB's) there are the views

  totals       scenario, replication, measure, "where", "of", unit, value: what holds of the whole place
  results      the same, and beside it each site and locality ("where"), service, pathway, cause and so on ("of")
  nights       scenario, replication, date, "where", "of", state, count
  cells        every finished or failed cell: scenario, replication, state, seed, engine, window, key, file, error
  scenarios    scenario, key, replications, title, changes
  settings     scenario, key, value: every number of every place

SQL reads these tables and nothing else; with unsafe=true it may read and write any file that you may, load extensions
of DuckDB and reach the network, so run no SQL of others with it.
`where` is a word of SQL, so the column needs its quotes. against= says where, over the points of a sweep (or the
scenarios of a comparison), the second measure becomes worse fastest as the first rises; charts/against.png shows it.
who: who waits longest to leave hospital and why, by age, pathway, locality, days of delay and cause; of the first
scenario, or of the one that is named.
rebuild makes manifest and tables anew from the cells alone and sets aside those that are damaged.

Examples:
  flowsim results outputs/mine
  flowsim results outputs/mine "select scenario, avg(value) from totals where measure='delayed_patients' group by 1"
  flowsim results outputs/mine "select * from cells where state = 'failed'" to=failed.csv
  flowsim results outputs/mine pair=seven_day_working,discharge_to_assess
  flowsim results outputs/mine against=acute_occupancy,ed_four_hour_share
  flowsim results outputs/mine who
  flowsim results outputs/mine who=winter_severe
  flowsim results outputs/mine rebuild
"""


def do(words: list[str]) -> int:
    keys, plain = _keys(words)
    out, *rest = plain or [""]
    asked = len(rest) + sum(key in keys for key in ("pair", "against", "who"))
    if not out or asked > 1 or {"who", "to"} <= set(keys):
        allowed = "OUT, SQL in quotes or pair=A,B or against=A,B, and to=; or who alone"
        raise PlaceError(f"results: {' '.join(words)!r} was given; allowed: {allowed}.")
    if "detail" in keys and "pair" not in keys:
        raise PlaceError(f"detail: {keys['detail']!r} was given; allowed: beside pair=A,B.")
    if not Path(out).is_dir():
        raise PlaceError(
            f"results: {out!r} was given, where no folder is; allowed: one that run, compare, sweep or select wrote."
        )
    unsafe = _is_unsafe(keys.get("unsafe", "false"), bool(rest) and rest != ["rebuild"])
    to = Path(keys["to"]) if "to" in keys else None
    if "pair" in keys:
        return _pair(out, keys["pair"], keys.get("detail", "answer"), to)
    if "against" in keys:
        return _against(out, keys["against"], to)
    from flowsim.folder import catalogue
    from flowsim.folder.result import Result
    from flowsim.folder.store import Store
    from flowsim.present import answer

    store = Store(out)
    if rest == ["rebuild"]:
        done, notices = catalogue.rebuild(store)
        print(*notices, *(f"{name}: {cells} cells" for name, cells in done.items()), sep="\n")
        return 0
    if "who" in keys:
        answer.who_waits(Result.read(out), keys["who"])
        return 0
    answers = catalogue.ask(store, rest[0], unsafe) if rest else answer.headline(Result.read(out))
    if rest and (said := answer.remark(rest[0], answers, store)):
        print(said, file=sys.stderr)
    if to is None:
        answer.show(answers)
    else:
        _write(answers, to)
    return 0


def _keys(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """What stands behind the keys, such as ``pair=`` and ``to=``, and the others. Raises PlaceError for one twice."""
    keys: dict[str, str] = {}
    plain = []
    for word in words:
        key, equals, value = word.partition("=")
        if word != "who" and (not equals or key not in ("pair", "against", "who", DETAIL, "to", "unsafe")):
            plain.append(word)
        elif key in keys:
            raise PlaceError(f"{key}: {value!r} was given a second time; allowed: once.")
        else:
            keys[key] = value
    return keys, plain


def _is_unsafe(given: str, asks_sql: bool) -> bool:
    """Raises PlaceError unless it is true or false, and where there is no SQL that it could be about."""
    if given not in ("true", "false") or (given == "true" and not asks_sql):
        raise PlaceError(f"unsafe: {given!r} was given; allowed: true or false, beside SQL.")
    return given == "true"


def _pair(out: str, pair: str, detail: str, to: Path | None) -> int:
    """Two scenarios of a comparison side by side, on the screen or as a table of differences in a file."""
    from flowsim.api import Comparison, read

    compared = Comparison.of(read(out))
    chosen = compared.between(*two_of(pair, compared.scenarios))
    if to is None:
        chosen.show(detail)
    else:
        _write(chosen.table(), to)
    return 0


def two_of(pair: str, names: Sequence[str]) -> tuple[str, str]:
    """The two names in ``a,b``, either of which may have commas of its own. Raises PlaceError unless there are two."""
    at = [i for i, sign in enumerate(pair) if sign == ","]
    halves = [(pair[:i].strip(), pair[i + 1 :].strip()) for i in at]
    if not halves:
        raise PlaceError(f"pair: {pair!r} was given; allowed: A,B, two of {', '.join(names)}.")
    return next((both for both in halves if set(both) <= set(names)), halves[len(halves) // 2])


def _write(answers: pd.DataFrame, to: Path) -> None:
    from flowsim.folder import catalogue

    catalogue.write(answers, to)
    print(f"Written: {to} ({len(answers):,} row{'' if len(answers) == 1 else 's'})")


def _against(out: str, pair: str, to: Path | None) -> int:
    """One measure against another: a sentence, a table, and a picture in the folder or what `to` says."""
    from flowsim.api import read
    from flowsim.present import answer
    from flowsim.present.pages import against as told
    from flowsim.questions.against import against

    names = [name.strip() for name in pair.strip("[] ").split(",")]
    if len(names) != 2:
        raise PlaceError(f"against: {pair!r} was given; allowed: two measures with a comma between them.")
    result = read(out)
    first, second = names
    table = against(result, first, second)
    print(told.sentence(table, first, second))
    answer.show(told.in_words(result, table, first, second))
    if to is not None and to.suffix not in (".png", ".svg"):
        _write(table, to)
        return 0
    drawn = result.chart(to or result.out / "charts" / "against.png", "against", measures=names)
    print(f"Written: {drawn}")
    return 0


VERB = Verb(do, "ask a results folder, in SQL if you like; rebuild its catalogue", HELP, overrides=False)
