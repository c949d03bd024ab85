"""Walk the phases of a version and remember them: the walker and the ledger's stores."""
