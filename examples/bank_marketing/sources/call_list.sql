-- November's clients: in the file they come after the as-of date, so on that day they are still to be called.
select
  call_id as client_id,
  age,
  job,
  marital,
  education,
  has_default,
  housing,
  loan,
  channel,
  day_of_week,
  calls_this_campaign,
  earlier_calls,
  earlier_outcome,
  euribor_3m
from source_contacts
where called_on is null
