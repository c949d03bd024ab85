-- Every booking for an arrival at most 180 days after it was made, with the day each stage was reached. Equal rows are
-- bookings of their own (the file is anonymised), so the key is the row's place in a full order of all columns: of equal
-- rows it does not matter which is which.
with dated as (
  select
    *,
    cast(lead_time as integer) as days_ahead,
    cast(strptime(arrival_date_year || ' ' || arrival_date_month || ' ' || arrival_date_day_of_month, '%Y %B %d') as date)
      as arrives_on,
    cast(reservation_status_date as date) as status_on
  from read_csv(
    '{folder}/../../../shared/data/hotel_bookings/hotel_bookings.csv.gz', header = true, all_varchar = true
  )
),
numbered as (
  select
    row_number() over (order by dated) as booking_id,
    *,
    arrives_on - days_ahead as booked_on,
    least(arrives_on - days_ahead + 30, arrives_on) as standing_on
  from dated
)
select
  booking_id,
  market_segment,
  market_segment || ' / ' || distribution_channel as series_source,
  booked_on,
  case when reservation_status <> 'Canceled' or status_on > standing_on then standing_on end as kept_on,
  case when reservation_status = 'Check-Out' then arrives_on end as arrived_on,
  reservation_status
from numbered
where days_ahead <= 180
