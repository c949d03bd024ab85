"""The three versions of the unfolding story as project files: a modest first, one that misleads, a better one."""

import re
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, Literal

Variant = Literal["first", "bad", "good"]

PROJECT: Final = "rollout_project"
WEBINARS: Final = "rollout_webinars"
_FEATURE: Final = Path("features/webinars.sql")
_KEYS_AND_PARTS: Final = (
    "firm_id",
    "rep_type",
    "prior_firms",
    "firm_rep_count_at_contact",
    "firm_departures_90d",
    "firm_departures_180d",
)
_CAREER: Final = (
    "tenure_months",
    "tenure_bucket",
    "experience_years",
    "mobility_3yr",
    "mobility_tier",
    "days_since_last_move",
    "is_recent_mover",
    "has_firm_data",
    "is_ia_rep_type",
)
_FIRM: Final = (
    "firm_size",
    "firm_net_change_12mo",
    "firm_stability_tier",
    "firm_departures_corrected",
    "bleeding_velocity",
    "mobility_x_heavy_bleeding",
    "short_tenure_x_high_mobility",
    "is_wirehouse",
    "is_independent_ria",
    "is_broker_protocol",
)
_MODEST: Final = (*_KEYS_AND_PARTS, *_CAREER, *_FIRM)
_NOT_LEARNED: Final[Mapping[Variant, Sequence[str]]] = {"first": _MODEST, "bad": _MODEST, "good": _KEYS_AND_PARTS}
_LINE: Final = re.compile(r"^not_learned = \[[^\]]*\]", re.MULTILINE)
_WIDTH: Final = 100


def lay_variant(folder: Path, name: Variant) -> None:
    """Write the files that make one version's declarations over a project laid from `rollout_project`.

    `first` learns from what the CRM knows of a lead alone; `bad` from webinars too; `good` from careers and firms, not
    from webinars. The tiers' features are there in all three, so that tiers are the same. In foregate.toml only
    `not_learned` changes. Raises ValueError for a project without that line, and for another name.
    """
    if name not in _NOT_LEARNED:
        raise ValueError(f"no variant {name!r}: there are {', '.join(_NOT_LEARNED)}")
    file = folder / "foregate.toml"
    text, found = _LINE.subn(_not_learned(_NOT_LEARNED[name]), file.read_text(encoding="utf-8"))
    if found != 1:
        raise ValueError(f"{file} has {found} lines `not_learned = [...]`, wanted one")
    file.write_text(text, encoding="utf-8")
    (folder / _FEATURE).unlink(missing_ok=True)
    if name == "bad":
        with as_file(files("foregate.cases.leads") / WEBINARS) as overlay:
            shutil.copytree(overlay, folder, dirs_exist_ok=True)


def _not_learned(names: Sequence[str]) -> str:
    """Return the declaration, broken into lines as a person would."""
    lines = [""]
    for name in names:
        quoted = f' "{name}",'
        if len(lines[-1]) + len(quoted) > _WIDTH:
            lines.append("")
        lines[-1] += quoted
    return "\n".join(["not_learned = [", *(f" {line}" for line in lines), "]"])
