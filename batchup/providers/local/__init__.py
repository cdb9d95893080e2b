"""Runs local models in worker processes."""
