"""The ledger: an append-only JSON Lines file, the only state there is."""

from batchup.ledger.file import Ledger, open_ledger, read_ledger

__all__ = ["Ledger", "open_ledger", "read_ledger"]
