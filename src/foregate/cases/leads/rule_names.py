"""The names of the list's own rules, as decisions and the waterfall write them."""

LISTED = "listed"
DO_NOT_CALL = "do_not_call"
CLOSED_STATUS = "closed_status"
CONTACTED_RECENTLY = "contacted_recently"
NOT_SCORED = "not_scored"
DEPRIORITISED = "deprioritised"
DISAGREEMENT = "disagreement"
STANDARD_BELOW_CUT = "standard_below_cut"
BACKFILL = "backfill"
TIER_NOT_LISTED = "tier_not_listed"
TIER_QUOTA = "tier_quota"
FIRM_CAP = "firm_cap"
NO_LINKEDIN_CAP = "no_linkedin_cap"
LIST_FULL = "list_full"

BUILT_IN = frozenset(
    {
        LISTED,
        DO_NOT_CALL,
        CLOSED_STATUS,
        CONTACTED_RECENTLY,
        NOT_SCORED,
        DEPRIORITISED,
        DISAGREEMENT,
        STANDARD_BELOW_CUT,
        BACKFILL,
        TIER_NOT_LISTED,
        TIER_QUOTA,
        FIRM_CAP,
        NO_LINKEDIN_CAP,
        LIST_FULL,
    }
)
