"""Measuring: the benchmark, the report, the baselines, and sets of generated shapes."""
