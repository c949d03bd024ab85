-- The listed people whom only one of two versions chose, with the challenger's part of them on this list.
select
  $list as list,
  cast($listed_on as date) as listed_on,
  person_id,
  arm = 'challenger' as is_challenger,
  propensity,
  avg(case when arm = 'challenger' then 1.0 else 0.0 end) over () as share
from list_arms
where is_listed and arm in ('champion', 'challenger')
