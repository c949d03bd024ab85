"""`[leads.list]`: how long the list is, and the caps that shape it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Whole = Annotated[int, Field(ge=1)]


class ListSettings(BaseModel):
    """Places for each owner, and the caps; counts of people, days, and a share for the tolerance.

    `recycle_after_days`: a person contacted fewer days ago than this is left alone; on the day itself they may be
    called again. `no_linkedin_cap`: most people without a LinkedIn profile on the whole list, None for no cap.
    `assignment_tolerance`: widest gap between two owners' expected conversions, as a share of the mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    per_owner: Whole = 200
    firm_cap: Whole = 50
    recycle_after_days: int = Field(default=180, ge=0)
    closed_statuses: Annotated[tuple[str, ...], Field(strict=False)] = ()
    no_linkedin_cap: int | None = Field(default=None, ge=0)
    assignment_tolerance: float = Field(default=0.02, ge=0, lt=1, allow_inf_nan=False)
