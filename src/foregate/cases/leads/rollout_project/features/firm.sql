-- The firm where the person was known to be: heads, arrivals and departures by what was on file.
select
  count(*) filter (where started_on <= as_of and (ended_on is null or ended_on >= as_of)) as firm_rep_count_at_contact,
  count(*) filter (where started_on > as_of - interval 12 month and started_on <= as_of)
    - count(*) filter (where ended_on > as_of - interval 12 month and ended_on <= as_of) as firm_net_change_12mo
from employment
