"""The statistics of evidence: pure functions on numpy arrays, every estimate with its interval."""
