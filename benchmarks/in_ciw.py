"""The small model in Ciw, whose blocking is the same rule: a finished person keeps the server until there is room."""

from __future__ import annotations

import ciw
import numpy as np

from benchmarks.small_model import DAY, Model, Visits


def run(model: Model, seed: int) -> Visits:
    """Simulate the model once. Ciw records whoever has left a service by the end, and nobody else."""
    ciw.seed(seed)
    p, q = model.goes_on
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=model.arrivals_a_day / DAY), None, None],
        service_distributions=[ciw.dists.Lognormal(*model.log_stay(service)) for service in range(3)],
        number_of_servers=list(model.places),
        queue_capacities=[float("inf"), 0, 0],
        routing=[[0.0, p, 0.0], [0.0, 0.0, q], [0.0, 0.0, 0.0]],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(model.horizon)
    records = simulation.get_all_records(only=["service"])
    columns = [(r.node - 1, r.arrival_date, r.service_start_date, r.service_end_date, r.exit_date) for r in records]
    service, *minutes = np.array(columns, dtype=np.float64).T
    return Visits(service.astype(np.int64), *minutes)
