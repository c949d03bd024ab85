"""What several cases share: splits in time, boosted trees, calibration, explanations, packages."""
