"""Pictures of what the terminal shows: SVG that needs no network."""

from __future__ import annotations

import re

from rich.console import Console

_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)


def svg(console: Console, title: str) -> str:
    """Return everything a recording console has printed as one self-contained SVG."""
    drawn = console.export_svg(title=title, unique_id="foregate")
    drawn = re.sub(r"<!--.*?-->", "", drawn, flags=re.DOTALL)
    return _FONT_FACE.sub("", drawn).replace("Fira Code", "Menlo, Consolas, DejaVu Sans Mono")
