"""Shared parts of the experiments: descriptions, runner, metrics, statistics, tables."""
