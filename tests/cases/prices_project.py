"""A small project of prices over the made-up market, for the tests of the case."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from foregate.cases.prices.world import AS_OF, COMMODITIES, DECLARED, lay

HEAD = f"""name = "made-up-market"
as_of = {AS_OF}
seed = 7

[warehouse]
url = "duckdb:///warehouse.duckdb"

[ledger]
url = "sqlite:///ledger.sqlite"
"""
CHEAP = 'experts = ["no_change", "drift_1y", "momentum", "ses"]'


def laid(
    folder: Path,
    keys: str = "",
    until: date = AS_OF,
    changes: Mapping[str, str] | None = None,
    series: tuple[str, ...] = ("crude", "copper"),
) -> Path:
    """Return a folder with a project; `keys` go into [prices], `changes` replace parts of the text."""
    lay(folder / "data", 11, until)
    parts = re.split(r"\n(?=\[)", DECLARED)
    others = [one.name for one in COMMODITIES if one.name not in series]
    kept = [
        part for part in parts if not any(part.startswith((f"[sources.{n}]", f"[prices.series.{n}]")) for n in others)
    ]
    text = f"{HEAD}\n[prices]\n{keys}\n" + "\n".join(kept)
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "foregate.toml").write_text(text)
    return folder


__all__ = ["AS_OF", "CHEAP", "COMMODITIES", "laid"]
