-- One row per contacted lead: converted within the window, matured negative, or censored (NULL) whatever came so far.
select
  lead_id,
  contacted_on,
  date_diff('day', contacted_on, converted_on) as delay_days,
  date_diff('day', contacted_on, cast($as_of as date)) as age_days,
  case
    when date_diff('day', contacted_on, cast($as_of as date)) < $window_days then null
    when converted_on <= cast($as_of as date)
      and date_diff('day', contacted_on, converted_on) between 0 and $window_days then 1
    else 0
  end as label
from lead
where contacted_on <= cast($as_of as date)
