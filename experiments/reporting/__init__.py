"""REPRODUCTION.md and the figures in README and the documentation, from the stored results."""
