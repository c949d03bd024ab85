"""Views: what readers and BI tools see, all over the readers' view, so that moving that moves them."""

from __future__ import annotations

from collections.abc import Mapping

from foregate.cases.prices.issuing import ISSUED_FORECASTS, ISSUED_WEIGHTS

PRODUCTION, WEIGHTS_READ = "bi.price_forecast", "bi.price_weights"


def views() -> Mapping[str, str]:
    """Return the views by name: the weights behind what is served, and everything that was ever issued."""
    return {
        WEIGHTS_READ: f"select * from {ISSUED_WEIGHTS} where issue in (select distinct issue from {PRODUCTION})",  # noqa: S608
        "bi.issued_price_forecasts": f"select * from {ISSUED_FORECASTS}",  # noqa: S608 - our own names
        "bi.issued_price_weights": f"select * from {ISSUED_WEIGHTS}",  # noqa: S608 - our own names
    }
