"""The ledger: an append-only JSON Lines file, the only state there is."""

from batchup.ledger.file import Ledger, open_ledger, read_ledger
from batchup.ledger.view import View, open_view

__all__ = ["Ledger", "View", "open_ledger", "open_view", "read_ledger"]
