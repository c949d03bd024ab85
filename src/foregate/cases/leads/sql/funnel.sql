-- Volumes of the funnel and how leads' dates stand to each other.
select
  count(*) as leads,
  count(*) filter (where contacted_on <= cast($as_of as date)) as contacted,
  count(*) filter (
    where contacted_on <= cast($as_of as date) and converted_on <= cast($as_of as date)
  ) as converted,
  count(*) filter (where converted_on < contacted_on) as converted_before_contact,
  count(*) filter (where contacted_on > cast($as_of as date)) as contacted_in_future,
  count(*) filter (
    where contacted_on < date '1950-01-01' or contacted_on > cast($as_of as date) + interval 366 day
  ) as impossible_contacts
from lead_all
