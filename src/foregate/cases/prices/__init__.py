"""Price forecasts: an ensemble of experts over trading days, judged against no change."""
