select arg_max(rep_type, recorded_on) as rep_type from person_snapshot
