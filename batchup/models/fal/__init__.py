"""Models that run on fal, for money: one file each. Their prices stand in ``prices.yaml``."""
