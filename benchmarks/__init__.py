"""How fast flowsim is, and how much memory it takes: ``python -m benchmarks [quick] [--markdown]``.

Everything of one table is measured in one run on one machine. CPU seconds are those of the process (user and system);
what is given is the median, with the least and the most.
"""
