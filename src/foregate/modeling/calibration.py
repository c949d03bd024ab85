"""Calibration: margins to probabilities on rows of their own, kept only where it proves to help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foregate.metrics.calibration import brier_difference, platt_apply, platt_fit
from foregate.metrics.estimate import Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibrator:
    """Probability = 1 / (1 + exp(-(slope * margin + intercept))); slope 1 and intercept 0 leave the model as it is."""

    slope: float = 1.0
    intercept: float = 0.0

    def probabilities(self, margins: Floats) -> Floats:
        """Return calibrated probabilities in (0, 1)."""
        found: Floats = platt_apply((self.slope, self.intercept), margins)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"slope": self.slope, "intercept": self.intercept}


def calibrate(margins: Floats, outcomes: Floats, level: float = 0.95) -> tuple[Calibrator, Estimate, bool]:
    """Return the calibrator, the Brier difference it was judged by, and whether it was kept.

    The earlier half of the rows fits, the later half judges (rows come in order of time); it is kept only when the
    whole interval of the Brier difference lies below zero, and then refitted on all rows. Rows of one class, or fewer
    than two, leave the model as it is, with the difference unknown in [-1, 1].
    """
    half = len(margins) // 2
    if half == 0 or not 0 < outcomes.sum() < len(outcomes):
        return Calibrator(), Estimate(0.0, -1.0, 1.0, len(margins), level), False
    slope, intercept = platt_fit(margins[:half], outcomes[:half])
    trial, plain = Calibrator(slope, intercept), Calibrator()
    later = margins[half:]
    difference = brier_difference(outcomes[half:], trial.probabilities(later), plain.probabilities(later), level)
    if not difference.high < 0:
        return plain, difference, False
    slope, intercept = platt_fit(margins, outcomes)
    return Calibrator(slope, intercept), difference, True
