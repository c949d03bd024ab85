-- One row per contacted lead: which window of the calendar it belongs to; cuts inside the training window are by day.
select
  lead_id,
  case
    when contacted_on < cast($train_start as date) then 'before'
    when contacted_on <= cast($fit_end as date) then 'fit'
    when contacted_on <= cast($stop_end as date) then 'stop'
    when contacted_on <= cast($train_end as date) then 'calibrate'
    when contacted_on < cast($test_start as date) then 'embargo'
    when contacted_on <= cast($test_end as date) then 'test'
    else 'open'
  end as slice
from lead
where contacted_on <= cast($as_of as date)
