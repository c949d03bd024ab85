"""The model card's fixed part: what the version is made of; its numbers are rendered from the ledger beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Windows(Protocol):
    """The dates a card states."""

    @property
    def train_start(self) -> object: ...  # noqa: D102 - the name says it
    @property
    def train_end(self) -> object: ...  # noqa: D102
    @property
    def test_start(self) -> object: ...  # noqa: D102
    @property
    def test_end(self) -> object: ...  # noqa: D102
    @property
    def analysis_on(self) -> object: ...  # noqa: D102


def model_card(
    version: str,
    source: str,
    windows: Windows,
    features: Sequence[str],
    dropped: Mapping[str, str],
    window_days: int,
) -> str:
    """Return the card in Markdown."""
    lines = [
        f"# Model card: {version}",
        "",
        f"Scores the probability that a lead of `{source}` converts within {window_days} days of its contact.",
        "",
        "| what | when |",
        "|---|---|",
        f"| trained on contacts | {windows.train_start} to {windows.train_end} |",
        f"| judged on contacts | {windows.test_start} to {windows.test_end} |",
        f"| nothing known after | {windows.analysis_on} |",
        "",
        f"## {len(features)} features",
        "",
        *(f"- `{name}`" for name in features),
    ]
    if dropped:
        lines += ["", "## Left out", "", *(f"- `{name}`: {why}" for name, why in dropped.items())]
    return "\n".join(
        [*lines, "", "The numbers behind this version are in the ledger: `foregate show " + version + "`.", ""]
    )
