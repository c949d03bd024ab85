"""The composition root: joins a project's declarations, the cases, the engine and the ledger."""

from foregate.app.opened import App

__all__ = ["App"]
