"""The composition root: joins a project's declarations, the cases, the engine and the ledger."""

from foregate.app.choosing import apps_of, chosen
from foregate.app.opened import App

__all__ = ["App", "apps_of", "chosen"]
