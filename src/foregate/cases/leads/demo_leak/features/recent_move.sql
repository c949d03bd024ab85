select date_diff('day', max(firm_started_on), as_of) as days_since_start_today from person_today
