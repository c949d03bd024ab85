"""Lead scoring, opened: its runs, its readers, its lists, its field, its demo."""

from foregate.app.leads.case import Leads

__all__ = ["Leads"]
