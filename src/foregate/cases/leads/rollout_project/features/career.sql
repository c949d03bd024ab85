-- One person's career as known at contact. Dates before 1960 are typing errors in the filings.
select
  arg_max(firm_id, started_on) filter (where ended_on is null or ended_on >= as_of) as firm_id,
  date_diff('day', max(started_on) filter (where ended_on is null or ended_on >= as_of), as_of) / 30.4375 as tenure_months,
  date_diff('day', min(started_on), as_of) / 365.25 as experience_years,
  count(distinct firm_id) filter (where ended_on < as_of) as prior_firms,
  count(*) filter (where started_on > as_of - interval 3 year) as mobility_3yr,
  date_diff('day', max(started_on), as_of) as days_since_last_move,
  count(*) filter (where ended_on is null or ended_on >= as_of) > 0 as has_firm_data
from employment
where started_on >= date '1960-01-01' and started_on <= as_of
