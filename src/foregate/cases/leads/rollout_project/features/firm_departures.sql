-- Departures inferred from starts elsewhere: known weeks before the filed end.
select
  count(*) filter (where departed_on > as_of - interval 365 day) as firm_departures_corrected,
  count(*) filter (where departed_on > as_of - interval 90 day) as firm_departures_90d,
  count(*) filter (where departed_on > as_of - interval 180 day) as firm_departures_180d
from departures
