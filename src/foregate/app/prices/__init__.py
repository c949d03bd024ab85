"""Prices, opened: their runs, their forecasts as they are issued, their readers."""

from foregate.app.prices.case import Prices

__all__ = ["Prices"]
