-- One row per lead: what was known at its contact.
select channel, company_size from leads
