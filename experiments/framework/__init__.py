"""Shared parts of the experiments: description, runner, metrics, statistics, command line and figures."""
