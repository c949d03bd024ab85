"""The kinds of model Foregate takes to production, independent of each other."""
