"""The report: what a ledger tells, as one HTML file that needs nothing else, or as JSON.

A ledger becomes a frozen :class:`Report`, pictures on the disk become thumbnails, and both become a page.
"""

from batchup.report.model import Report
from batchup.report.read import read
from batchup.report.write import Written, write

__all__ = ["Report", "Written", "read", "write"]
