-- All demo features as a skilled analyst would write them for DuckDB: one join per question about a person, running
-- counts and an as-of join for the firms (joining every firm's people to every lead takes many times as long).
-- A row counts from the day after it was recorded; an end from the day after its own recording.
with career as (
  select
    subject_id,
    max({'o': started_on, 'v': e.firm_id}) filter (where here and e.firm_id is not null) as latest,
    date_diff('day', max(started_on) filter (where here), as_of) / 30.4375 as tenure_months,
    date_diff('day', min(started_on), as_of) / 365.25 as experience_years,
    count(distinct e.firm_id) filter (where not here) as prior_firms,
    count(*) filter (where started_on > as_of - interval 3 year) as mobility_3yr,
    date_diff('day', max(started_on), as_of) as days_since_last_move,
    count(*) filter (where here) > 0 as has_firm_data
  from (
    select l.subject_id, l.as_of, s.*,
      not coalesce(s.ended_on < l.as_of and s.ended_recorded_on < l.as_of, false) as here
    from {spine} as l join source_employment as s on s.person_id = l.person_id
    where s.recorded_on < l.as_of and s.started_on between date '1960-01-01' and l.as_of
  ) as e
  group by subject_id, as_of
),
lead as materialized (
  select
    l.subject_id, l.as_of, l.person_id, c.latest.v as firm_id,
    c.tenure_months, c.experience_years,
    case when l.person_id is not null then coalesce(c.prior_firms, 0) end as prior_firms,
    case when l.person_id is not null then coalesce(c.mobility_3yr, 0) end as mobility_3yr,
    c.days_since_last_move,
    case when l.person_id is not null then coalesce(c.has_firm_data, false) end as has_firm_data,
    coalesce(l.email_known_on < l.as_of, false) as has_email,
    coalesce(l.linkedin_known_on < l.as_of, false) as has_linkedin
  from {spine} as l left join career as c using (subject_id)
),
span as (select min(as_of) as first, max(as_of) as last from lead where firm_id is not null),
firm as (select distinct firm_id from lead where firm_id is not null),
spells as materialized (
  select
    firm_id,
    greatest(started_on, recorded_on + 1) as joined,
    -- from this day on the start lies a year back; a 29 February has to wait for 1 March
    (started_on + interval 12 month)::date
      + ((started_on + interval 12 month)::date - interval 12 month < started_on)::int as joined_year,
    greatest(ended_on, ended_recorded_on) + 1 as gone,
    greatest(ended_on, ended_recorded_on + 1) as left_on,
    (ended_on + interval 12 month)::date
      + ((ended_on + interval 12 month)::date - interval 12 month < ended_on)::int as left_year,
    recorded_on
  from source_employment semi join firm using (firm_id)
  where recorded_on < (select last from span)
    and (ended_on is null or ended_recorded_on is null
      or ended_on >= (select (first - interval 12 month)::date from span)
      or ended_recorded_on >= (select first from span)
      or started_on > (select (first - interval 12 month)::date from span))
),
changes as (
  select firm_id, greatest(day, (select first from span)) as day, sum(heads) as heads, sum(net) as net
  from (
    select firm_id, joined as day, 1 as heads, 0 as net from spells where joined < coalesce(gone, date '9999-01-01')
    union all by name
    select firm_id, gone as day, -1 as heads, 0 as net from spells where joined < gone
    union all by name
    select firm_id, joined as day, 0 as heads, 1 as net from spells where joined < joined_year
    union all by name
    select firm_id, joined_year as day, 0 as heads, -1 as net from spells where joined < joined_year
    union all by name
    select firm_id, greatest(left_on, recorded_on + 1) as day, 0 as heads, -1 as net
    from spells where greatest(left_on, recorded_on + 1) < left_year
    union all by name
    select firm_id, left_year as day, 0 as heads, 1 as net
    from spells where greatest(left_on, recorded_on + 1) < left_year
  )
  where day <= (select last from span)
  group by all
),
running as (
  select firm_id, day, sum(heads) over days as heads, sum(net) over days as net
  from changes window days as (partition by firm_id order by day)
),
leaving as materialized (
  select firm_id, departed_on, greatest(departed_on, recorded_on + 1) as seen
  from source_departures semi join firm using (firm_id)
  where departed_on > (select first - 365 from span) and recorded_on < (select last from span)
),
asked as (select distinct firm_id, as_of from lead where firm_id is not null),
left_by as (
  select firm_id, day, sum(d365) over days as d365, sum(d90) over days as d90, sum(d180) over days as d180
  from (
    select firm_id, greatest(day, (select first from span)) as day, sum(d365) as d365, sum(d90) as d90, sum(d180) as d180
    from (
      select firm_id, seen as day, (seen < departed_on + 365)::int as d365, (seen < departed_on + 90)::int as d90,
        (seen < departed_on + 180)::int as d180
      from leaving
      union all by name
      select firm_id, departed_on + 365 as day, -1 as d365, 0 as d90, 0 as d180 from leaving where seen < departed_on + 365
      union all by name
      select firm_id, departed_on + 90 as day, 0 as d365, -1 as d90, 0 as d180 from leaving where seen < departed_on + 90
      union all by name
      select firm_id, departed_on + 180 as day, 0 as d365, 0 as d90, -1 as d180 from leaving where seen < departed_on + 180
    )
    where day <= (select last from span)
    group by all
  )
  window days as (partition by firm_id order by day)
),
registered as (
  select l.subject_id, max({'o': s.recorded_on, 'v': s.rep_type}).v as rep_type
  from {spine} as l join source_person_snapshot as s on s.person_id = l.person_id and s.recorded_on < l.as_of
  where s.rep_type is not null
  group by l.subject_id
),
firms as (
  select
    a.firm_id, a.as_of, coalesce(r.heads, 0)::bigint as heads, coalesce(r.net, 0)::bigint as net,
    coalesce(d.d365, 0)::bigint as d365, coalesce(d.d90, 0)::bigint as d90, coalesce(d.d180, 0)::bigint as d180,
    f.is_wirehouse, f.entity_classification = 'Independent RIA' as is_independent_ria,
    case when f.firm_id is not null then coalesce(f.protocol_joined_on < a.as_of, false) end as is_broker_protocol
  from asked as a
  asof left join running as r on r.firm_id = a.firm_id and r.day <= a.as_of
  asof left join left_by as d on d.firm_id = a.firm_id and d.day <= a.as_of
  left join source_firms as f on f.firm_id = a.firm_id and f.first_seen_on < a.as_of
)
select
  l.* exclude (person_id),
  f.heads as firm_rep_count_at_contact, f.net as firm_net_change_12mo,
  f.d365 as firm_departures_corrected, f.d90 as firm_departures_90d, f.d180 as firm_departures_180d,
  f.is_wirehouse, f.is_independent_ria, f.is_broker_protocol, r.rep_type,
  case when l.tenure_months < 12 then '0-12' when l.tenure_months < 24 then '12-24' when l.tenure_months < 48 then '24-48'
       when l.tenure_months < 120 then '48-120' when l.tenure_months >= 120 then '120+' end as tenure_bucket,
  case when l.mobility_3yr >= 2 then 'high' when l.mobility_3yr = 1 then 'low' when l.mobility_3yr = 0 then 'stable' end
    as mobility_tier,
  case when f.net < -10 then 'heavy bleeding' when f.net < 0 then 'light bleeding'
       when f.net = 0 then 'stable' when f.net > 0 then 'growing' end as firm_stability_tier,
  case when f.d365 < 3 then 'stable' when f.d90 > 1.5 * (f.d180 - f.d90) then 'accelerating'
       when f.d90 < 0.5 * (f.d180 - f.d90) then 'decelerating' when f.d365 >= 3 then 'steady' end as bleeding_velocity,
  l.mobility_3yr >= 2 and f.net < -10 as mobility_x_heavy_bleeding,
  l.tenure_months < 24 and l.mobility_3yr >= 2 as short_tenure_x_high_mobility,
  l.days_since_last_move <= 365 as is_recent_mover,
  r.rep_type = 'IA' as is_ia_rep_type,
  r.rep_type = 'DR' as is_dual_registered
from lead as l
left join firms as f on f.firm_id = l.firm_id and f.as_of = l.as_of
left join registered as r using (subject_id)
