select outcome_note from leads
