"""Errors of classifiers, test views and statistics of repeated runs."""
