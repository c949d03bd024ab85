-- Features of features. Unknown stays unknown: nothing is filled in.
select
  case when tenure_months < 12 then '0-12' when tenure_months < 24 then '12-24' when tenure_months < 48 then '24-48'
       when tenure_months < 120 then '48-120' when tenure_months >= 120 then '120+' end as tenure_bucket,
  case when mobility_3yr >= 2 then 'high' when mobility_3yr = 1 then 'low' when mobility_3yr = 0 then 'stable' end as mobility_tier,
  case when firm_net_change_12mo < -10 then 'heavy bleeding' when firm_net_change_12mo < 0 then 'light bleeding'
       when firm_net_change_12mo = 0 then 'stable' when firm_net_change_12mo > 0 then 'growing' end as firm_stability_tier,
  case when firm_rep_count_at_contact <= 10 then 'up to 10' when firm_rep_count_at_contact <= 50 then '11 to 50'
       when firm_rep_count_at_contact > 50 then 'over 50' end as firm_size,
  case when firm_departures_corrected < 3 then 'stable'
       when firm_departures_90d > 1.5 * (firm_departures_180d - firm_departures_90d) then 'accelerating'
       when firm_departures_90d < 0.5 * (firm_departures_180d - firm_departures_90d) then 'decelerating'
       when firm_departures_corrected >= 3 then 'steady' end as bleeding_velocity,
  mobility_3yr >= 2 and firm_net_change_12mo < -10 as mobility_x_heavy_bleeding,
  tenure_months < 24 and mobility_3yr >= 2 as short_tenure_x_high_mobility,
  days_since_last_move <= 365 as is_recent_mover,
  rep_type = 'IA' as is_ia_rep_type,
  rep_type = 'DR' as is_dual_registered
