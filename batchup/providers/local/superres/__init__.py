"""Super-resolution by networks of the user's own, in the worker process of one device."""
