"""Pictures of forecasts: the fan of what a version's newest issue says, written as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from foregate.cli.root import say
from foregate.core.errors import NotAllowedError

if TYPE_CHECKING:
    from foregate.app.funnel import Funnel
    from foregate.app.funnel.outlook import Outlook as FunnelOutlook
    from foregate.app.opened import App
    from foregate.app.prices import Prices
    from foregate.app.prices.outlook import Outlook as PricesOutlook


def refuse_undrawable(app: App, picture: Path | None) -> None:
    """Raise NotAllowedError where a picture is asked of a case that issues no forecasts."""
    if picture is not None and not app.forecasts:
        found, wanted = f"{app.model}, which issues no forecasts", "funnel or prices"
        raise NotAllowedError("--picture", found=found, wanted=wanted, then="Leave it out, or name one of them.")


def draw_forecast(app: App, version: str, picture: Path) -> None:
    """Draw a version's newest issue; where none was issued, say so."""
    from foregate.app.funnel import Funnel
    from foregate.app.prices import Prices

    try:
        if isinstance(app, Prices):
            from foregate.app.prices.outlook import outlook as of_prices

            draw_prices(app, of_prices(app, version, past_weights=True), picture)
        elif isinstance(app, Funnel):
            from foregate.app.funnel.outlook import outlook as of_funnel

            draw_funnel(app, of_funnel(app, version), picture)
    except NotAllowedError as error:
        say(str(error))


def draw_prices(app: Prices, told: PricesOutlook, picture: Path) -> None:
    """Draw the fan of prices, and their experts' weights beside it."""
    from foregate.report.forecast import draw
    from foregate.report.prices import price_fan, weight_chart

    name = f"{app.project.declared.name}: {told.version} as of {told.as_of}"
    draw(price_fan(told.before, told.told, name), picture)
    weights = picture.with_stem(f"{picture.stem}_weights")
    draw(weight_chart(told.weights, f"{name}: weights"), weights)
    say(f"drew {picture} and {weights}")


def draw_funnel(app: Funnel, told: FunnelOutlook, picture: Path) -> None:
    """Draw the fan of a funnel's stages by week."""
    from foregate.report.forecast import draw, fan_chart

    draw(fan_chart(told.weeks, f"{app.project.declared.name}: {told.version} as of {told.as_of}"), picture)
    say(f"drew {picture}")
