"""The small model as a user of SimPy writes it: one process a person, SimPy's own resources.

It shares nothing with flowsim, so it is also the independent witness of both engines.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from benchmarks.small_model import DAY, NOT_YET, Model, Visits


def run(model: Model, seed: int) -> Visits:
    """Simulate the model once."""
    env = simpy.Environment()
    rng = random.Random(seed)
    services = [simpy.Resource(env, capacity=capacity) for capacity in model.places]
    stays = [model.log_stay(service) for service in range(len(services))]
    log: list[list[float]] = []

    def person() -> Generator[Any, Any, None]:
        held = None
        for k, service in enumerate(services):
            visit = [k, env.now, NOT_YET, NOT_YET, NOT_YET]
            request = service.request()
            yield request
            visit[2] = env.now
            if held is not None:
                log[held[0]][4] = env.now
                services[k - 1].release(held[1])
            log.append(visit)
            held = (len(log) - 1, request)
            yield env.timeout(rng.lognormvariate(*stays[k]))
            visit[3] = env.now
            if k == len(model.goes_on) or rng.random() >= model.goes_on[k]:
                visit[4] = env.now
                service.release(request)
                return

    def arrivals() -> Generator[Any, Any, None]:
        while True:
            yield env.timeout(rng.expovariate(model.arrivals_a_day / DAY))
            env.process(person())

    env.process(arrivals())
    env.run(until=model.horizon)
    service, *minutes = np.array(log).T
    return Visits(service.astype(np.int64), *minutes)
