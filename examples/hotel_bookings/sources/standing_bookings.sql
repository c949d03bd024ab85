-- The bookings of August 2016 that still stand on its last day, their guests yet to arrive: the people to call.
select
  booking_id as open_booking_id,
  hotel,
  days_ahead,
  weekend_nights,
  week_nights,
  adults,
  children,
  babies,
  meal,
  market_segment,
  distribution_channel,
  has_agent,
  has_company,
  is_repeated_guest,
  customer_type,
  reserved_room_type
from source_bookings
where booked_on > date '2017-01-31' and cancelled_on is null and arrives_on > date '2017-02-28'
