"""Engines: they move journeys through capacities and return what happened, to the minute."""
