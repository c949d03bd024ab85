-- The lead's own columns: an address that became known after the contact is not known here.
select
  email_known_on is not null as has_email,
  linkedin_known_on is not null as has_linkedin
from leads
