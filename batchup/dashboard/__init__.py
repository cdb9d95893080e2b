"""The dashboard: a page that shows runs while they go on, and tells them what to do.

A process of its own, so that it never disturbs a run: it reads ledgers as they grow, and asks runs by
:mod:`batchup.control`.
"""
