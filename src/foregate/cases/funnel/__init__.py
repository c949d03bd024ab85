"""Funnel forecasting: from dated events of stages to issued counts by channel and source, with intervals."""
