"""A disk that is full, for files above a size."""

import resource
from contextlib import contextmanager


@contextmanager
def file_size_limit(size_bytes):
    """Let no file grow above *size_bytes*; Python ignores the signal, so that writing raises OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
