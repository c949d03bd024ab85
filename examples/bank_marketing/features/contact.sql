-- The client's own columns, as they stand before the call.
select
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
from contacts
