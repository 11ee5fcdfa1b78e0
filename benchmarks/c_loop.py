"""Compile and run `loop.c` on the small model's tables, where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from flowsim.engine.stamps import Stamps
from flowsim.model.tables import Journeys, Network

SOURCE = Path(__file__).with_name("loop.c")
STAMPS = ("joined", "accepted", "started", "ready", "left", "freed")


def compiler() -> str | None:
    """The C compiler's path, if there is one."""
    return next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)


def run(journeys: Journeys, network: Network, repeats: int = 1) -> tuple[np.ndarray, list[float]]:
    """The stamps (rows, 6) in the order of `STAMPS`, and the CPU seconds of the loop alone, each time it was run."""
    cc = compiler()
    if cc is None:
        raise FileNotFoundError("no C compiler was found")
    with tempfile.TemporaryDirectory() as folder:
        program, tables, stamps = (Path(folder) / name for name in ("loop", "tables", "stamps"))
        subprocess.run([cc, "-O2", "-o", str(program), str(SOURCE)], check=True)
        tables.write_bytes(_as_words(journeys, network).tobytes())
        done = subprocess.run(
            [str(program), str(tables), str(stamps), str(repeats)], check=True, capture_output=True, text=True
        )
        found = np.fromfile(stamps, dtype=np.int32).reshape(-1, len(STAMPS))
    return found, [float(line) for line in done.stdout.split()]


def agrees(table: np.ndarray, stamps: Stamps) -> bool:
    """Are these the stamps of flowsim's engines, in every row?"""
    return all(np.array_equal(table[:, k], getattr(stamps, name)) for k, name in enumerate(STAMPS))


def _as_words(journeys: Journeys, network: Network) -> np.ndarray:
    rows, spells = journeys.rows, journeys.spells
    capacity = network.step_capacity[network.step_minute == 0]
    parts = (
        [network.horizon, len(spells.number), len(rows.spell), len(network.names)],
        capacity,
        spells.arrival,
        spells.first_row,
        np.column_stack([rows.service, rows.units, rows.duration, rows.next]).ravel(),
    )
    return np.concatenate([np.asarray(part, dtype=np.int32) for part in parts])
