"""What the made-up funnel consists of: its sources, how much comes through each, how long a stage takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

START: Final = date(2023, 5, 1)
END: Final = date(2027, 12, 31)
"""The last day on which anything happens: data laid as of any day before it can be compared with what came after."""
AS_OF: Final = date(2025, 10, 31)
STAGES: Final = ("mql", "sql", "sqo")

OUTBOUND, INBOUND, PARTNERS, OTHER = "Outbound", "Inbound_Marketing", "Partnerships_Referrals", "Other"
SEGMENTS: Final = (OUTBOUND, INBOUND, PARTNERS, OTHER)


class Kind(NamedTuple):
    """A series: its channel, source and super-segment, its part of all MQLs, and the days it opens and closes."""

    channel: str
    source: str
    segment: str
    part: float
    opens: date = START
    closes: date = END


SERIES: Final = (
    Kind("Outbound", "LinkedIn (Self Sourced)", OUTBOUND, 0.26),
    Kind("Outbound", "Provided Lead List", OUTBOUND, 0.20),
    Kind("Outbound", "Lead List (Acquired)", OUTBOUND, 0.03, opens=date(2025, 2, 10)),
    Kind("Outbound", "Purchased List", OUTBOUND, 0.02, closes=date(2024, 11, 4)),
    Kind("Outbound", "Dover", OUTBOUND, 0.012, closes=date(2024, 6, 10)),
    Kind("Outbound", "Other", OUTBOUND, 0.008),
    Kind("Marketing", "Event", INBOUND, 0.07),
    Kind("Marketing", "Website", INBOUND, 0.075),
    Kind("Marketing", "Webinar", INBOUND, 0.03),
    Kind("Marketing", "Blog", INBOUND, 0.006),
    Kind("Marketing", "Content", INBOUND, 0.008),
    Kind("Marketing", "LinkedIn (Content)", INBOUND, 0.02),
    Kind("Marketing", "LinkedIn (Lead Gen Form)", INBOUND, 0.022, opens=date(2023, 11, 6)),
    Kind("Marketing", "Re-Engagement", INBOUND, 0.03),
    Kind("Marketing", "RB2B", INBOUND, 0.01, opens=date(2024, 4, 15)),
    Kind("Marketing", "Apollo", INBOUND, 0.006, opens=date(2023, 8, 7)),
    Kind("Marketing", "Advisor Waitlist", PARTNERS, 0.07),
    Kind("Ecosystem", "Recruitment Firm", PARTNERS, 0.07),
    Kind("Ecosystem", "Advisor Referral", PARTNERS, 0.03),
    Kind("Ecosystem", "Ashby", PARTNERS, 0.006, opens=date(2024, 9, 2)),
    Kind("Ecosystem", "Partnership", PARTNERS, 0.01),
    Kind("Ecosystem", "Employee Referral", PARTNERS, 0.005),
    Kind("Other", "Unknown", OTHER, 0.012),
    Kind("Other", "Investor Referral", OTHER, 0.006),
)


@dataclass(frozen=True, slots=True)
class Step:
    """The way from one stage to the next: how many go it, and the Weibull law of the days it takes them."""

    rate: float
    shape: float
    scale: float


STEPS: Final = (Step(rate=0.35, shape=0.9, scale=12.0), Step(rate=0.60, shape=0.9, scale=8.0))
"""MQL to SQL, SQL to SQO."""
SQLS_A_DAY: Final = 2.5
"""In the last quarter before AS_OF, like MQLs and SQOs by the rates."""

WEEKDAYS: Final = (1.25, 1.35, 1.3, 1.2, 1.0, 0.45, 0.45)
STAYS_ON_WEEKEND: Final = 0.2
"""The part of what would come on a weekend that comes then; the rest comes on Monday."""
DISPERSION: Final = 4.0
"""The r of the daily negative binomial: variance = mean + mean^2 / r."""
SEGMENT_STEP: Final = 0.008
OWN_STEP: Final = 0.008
"""Standard deviations of a day's step of the walk of the log level, of a segment and of a series."""
