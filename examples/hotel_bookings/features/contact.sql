-- The booking's own columns, as they stand when it is made.
select
  hotel,
  days_ahead,
  weekend_nights + week_nights as nights,
  weekend_nights > 0 as has_weekend,
  adults,
  coalesce(children, 0) + babies as children,
  meal,
  market_segment,
  distribution_channel,
  has_agent,
  has_company,
  is_repeated_guest,
  customer_type,
  reserved_room_type
from bookings
