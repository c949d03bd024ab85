-- Volumes of the funnel and how leads' dates stand to each other.
select
  count(*) as leads,
  count(contacted_on) as contacted,
  count(converted_on) filter (where contacted_on is not null) as converted,
  count(*) filter (where converted_on < contacted_on) as converted_before_contact,
  count(*) filter (where contacted_on > cast($as_of as date)) as contacted_in_future,
  count(*) - count(distinct lead_id) as doubled
from lead_all
