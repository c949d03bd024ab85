-- Whoever came to a webinar in the last half year, as far as it was on file.
select count(*) filter (where attended_on >= as_of - interval 180 day) > 0 as attended_webinar
from webinars
