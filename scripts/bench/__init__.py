"""Benchmarks: what the service reaches, as a share of a limit that is measured in the same run.

`python -m scripts.bench` runs them. Nothing here is a test, and no figure is a promise.
"""
