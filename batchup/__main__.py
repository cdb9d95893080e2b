"""`python -m batchup` is `batchup`."""

from batchup.cli import main

main()
