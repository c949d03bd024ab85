"""The funnel, opened: its runs, its forecasts as they are issued, its readers."""

from foregate.app.funnel.case import Funnel

__all__ = ["Funnel"]
