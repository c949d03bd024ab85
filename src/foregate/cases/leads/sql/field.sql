-- One row per person on each list: the lead by which they were first reached after it, and what came of that lead.
-- A contact belongs to the list nearest to it; a lead that stands on several rows of its source counts once.
select
  listed.*,
  reached.lead_id,
  reached.contacted_on,
  reached.converted_on,
  reached.copies
from listed
left join (
  select
    *,
    row_number() over (partition by list, person_id order by contacted_on, lead_id) as turn
  from (
    select
      listed.list,
      listed.person_id,
      contact.lead_id,
      contact.contacted_on,
      contact.converted_on,
      count(*) over (partition by listed.list, listed.person_id, contact.lead_id) as copies,
      row_number() over (
        partition by listed.person_id, contact.lead_id, contact.contacted_on
        order by
          abs(date_diff('day', listed.listed_on, contact.contacted_on)),
          contact.converted_on nulls last,
          listed.list
      ) as place
    from listed
    join contact
      on contact.person = listed.person_id
      and (
        $open_leads
        or date_diff('day', listed.listed_on, contact.contacted_on) between 0 and $cycle_days - 1
      )
  ) as nearest
  where place = 1
) as reached
  on reached.list = listed.list
  and reached.person_id = listed.person_id
  and reached.turn = 1
order by listed.listed_on, listed.person_id
