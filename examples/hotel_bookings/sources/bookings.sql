-- Every booking made between July 2015 and August 2016 for an arrival within a year of it, and nothing else. The file
-- holds arrivals from 2015-07-01 to 2017-08-31 only: of an earlier booking it knows the late arrivals alone, of a later
-- one or one further ahead the early arrivals alone. Inside these bounds nothing is cut off on either side.
with dated as (
  select
    row_number() over () as booking_id,
    *,
    cast(lead_time as integer) as days_ahead,
    cast(strptime(arrival_date_year || ' ' || arrival_date_month || ' ' || arrival_date_day_of_month, '%Y %B %d') as date)
      as arrives_on,
    cast(reservation_status_date as date) as status_on
  from read_csv(
    '{folder}/../../../shared/data/hotel_bookings/hotel_bookings.csv.gz', header = true, all_varchar = true
  )
)
select
  booking_id,
  arrives_on - days_ahead as booked_on,
  case when reservation_status = 'Canceled' and status_on <= date '2017-02-28' then status_on end as cancelled_on,
  arrives_on,
  hotel,
  days_ahead,
  cast(stays_in_weekend_nights as integer) as weekend_nights,
  cast(stays_in_week_nights as integer) as week_nights,
  cast(adults as integer) as adults,
  try_cast(children as integer) as children,
  cast(babies as integer) as babies,
  trim(meal) as meal,
  market_segment,
  distribution_channel,
  agent <> 'NULL' as has_agent,
  company <> 'NULL' as has_company,
  is_repeated_guest = '1' as is_repeated_guest,
  cast(previous_cancellations as integer) as earlier_cancellations,
  cast(previous_bookings_not_canceled as integer) as earlier_stays,
  customer_type,
  trim(reserved_room_type) as reserved_room_type,
  trim(assigned_room_type) as assigned_room_type,
  cast(booking_changes as integer) as booking_changes,
  trim(deposit_type) as deposit_type,
  country,
  cast(days_in_waiting_list as integer) as days_in_waiting_list,
  cast(adr as double) as adr,
  cast(required_car_parking_spaces as integer) as required_car_parking_spaces,
  cast(total_of_special_requests as integer) as total_of_special_requests,
  reservation_status,
  status_on as reservation_status_date
from dated
where market_segment <> 'Groups' and days_ahead <= 180 and arrives_on - days_ahead between date '2015-07-01' and date '2017-02-28'
