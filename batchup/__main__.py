"""`python -m batchup` is `batchup`."""

from batchup.cli import main

if __name__ == "__main__":  # worker processes import it again, under another name
    main()
