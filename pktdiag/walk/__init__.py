"""The walk: one stage, one file; ``stages`` is the table of contents, ``api.trace`` the way in. Pure: no I/O of its own."""
