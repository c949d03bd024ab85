-- The bank's calls in file order, which is order of time, with the day of each rebuilt: the file has month and weekday
-- but no date. A month that comes before the last one begins another year; each change of weekday is another day of
-- calls, and its date is the first one of that weekday after the day before. Clients whose call came after the as-of
-- date are still to be called: no day, no outcome.
with numbered as (
  select
    row_number() over () as call_id,
    *,
    list_position(['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'], month) as month_of,
    list_position(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], day_of_week) as weekday
  from read_csv(
    '{folder}/../../../shared/data/bank_marketing/bank-additional-full.csv.gz', delim = ';', header = true, all_varchar = true
  )
),
with_year as (
  select *, 2008 + count(*) filter (where starts_year) over (order by call_id) as year_of
  from (select *, month_of < lag(month_of) over (order by call_id) as starts_year from numbered)
),
with_gap as (
  select
    *,
    case
      when weekday = lag(weekday) over of_month then 0
      else 1 + (weekday - 1 - coalesce(lag(weekday) over of_month, isodow(make_date(year_of, month_of, 1)) - 1) + 7) % 7
    end as days_on
  from with_year
  window of_month as (partition by year_of, month_of order by call_id)
),
dated as (
  select
    *,
    make_date(year_of, month_of, 1) - 1
      + cast(sum(days_on) over (partition by year_of, month_of order by call_id) as integer) as call_day
  from with_gap
)
select
  call_id,
  case when call_day <= date '2010-10-31' then call_day end as called_on,
  case when call_day <= date '2010-10-31' and y = 'yes' then call_day end as bought_on,
  least(call_day, date '2010-10-31') as known_on,
  cast(age as integer) as age,
  job,
  marital,
  education,
  "default" as has_default,
  housing,
  loan,
  contact as channel,
  month,
  day_of_week,
  cast(duration as integer) as duration,
  cast(campaign as integer) as calls_this_campaign,
  nullif(cast(pdays as integer), 999) as days_since_last_campaign,
  cast(previous as integer) as earlier_calls,
  poutcome as earlier_outcome,
  cast("emp.var.rate" as double) as employment_change,
  cast("cons.price.idx" as double) as consumer_prices,
  cast("cons.conf.idx" as double) as consumer_confidence,
  cast(euribor3m as double) as euribor_3m,
  cast("nr.employed" as double) as people_employed
from dated
