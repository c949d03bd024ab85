-- Everybody of one list, with the tenth of it that their score is in: 1 is the best.
select
  $list as list,
  cast($listed_on as date) as listed_on,
  person_id,
  cast(owner_id as varchar) as owner_id,
  tier,
  score,
  expected_rate,
  1 + cast(
    floor(10.0 * (row_number() over (order by score desc, list_rank) - 1) / count(*) over ()) as bigint
  ) as decile
from list_people
