-- One row per move: the firm that was left, inferred from the start at the next one (fresher than the filed end).
select
  lag(firm_id) over moves as firm_id,
  started_on as departed_on,
  greatest(recorded_on, lag(recorded_on) over moves) as recorded_on
from read_parquet('{folder}/data/employment.parquet')
window moves as (partition by person_id order by started_on, firm_id, recorded_on)
qualify lag(firm_id) over moves is not null and lag(firm_id) over moves <> firm_id
