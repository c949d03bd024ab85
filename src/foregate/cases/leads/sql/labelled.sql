-- Features, label and slice of every lead whose label has matured, in one fixed order.
select f.*, l.label, s.slice
from lead_features as f
join label as l on l.lead_id = f.subject_id
join slice as s on s.lead_id = f.subject_id
where l.label is not null
order by f.as_of, f.subject_id
