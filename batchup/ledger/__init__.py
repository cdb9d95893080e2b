"""The ledger: an append-only JSON Lines file, the only state there is."""
