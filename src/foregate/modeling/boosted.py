"""Boosted trees: train with early stopping, score, explain exactly; XGBoost's JSON, one thread order, one seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from foregate.modeling.signature import CATEGORY, Signature

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]


class TreeSettings(BaseModel):
    """`[leads.model]`: the boosted trees' settings, in XGBoost's own meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: int = Field(default=600, ge=1)
    stop_after: int = Field(default=50, ge=1)
    depth: int = Field(default=3, ge=1, le=12)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    min_child_weight: float = Field(default=10.0, ge=0)
    row_share: float = Field(default=0.8, gt=0, le=1)
    column_share: float = Field(default=0.8, gt=0, le=1)
    l2: float = Field(default=5.0, ge=0)
    threads: int = Field(default=1, ge=1)


@dataclass(frozen=True)
class Trees:
    """A fitted model with the number of trees it uses."""

    booster: Any
    signature: Signature
    trees: int

    def margins(self, matrix: Matrix) -> Floats:
        """Return log-odds, one per row."""
        return _float64(self.booster.predict(self._data(matrix), output_margin=True, iteration_range=(0, self.trees)))

    def contributions(self, matrix: Matrix) -> Floats:
        """Return exact TreeSHAP values, [rows, features + 1]: each row sums to its margin, the last is the base."""
        found = self.booster.predict(self._data(matrix), pred_contribs=True, iteration_range=(0, self.trees))
        return _float64(found)

    def dump(self) -> bytes:
        """Return the model in XGBoost's JSON."""
        return bytes(self.booster.save_raw(raw_format="json"))

    def _data(self, matrix: Matrix) -> Any:
        return _matrix(matrix, None, self.signature)


def fit(
    train: Matrix,
    outcomes: Floats,
    stop: Matrix,
    stop_outcomes: Floats,
    signature: Signature,
    settings: TreeSettings,
    seed: int,
) -> Trees:
    """Return trees fitted on the training rows, as many as the stopping rows' log-loss asks for."""
    import xgboost as xgb

    stopper = xgb.callback.EarlyStopping(rounds=settings.stop_after, metric_name="logloss", data_name="stop")
    held = _matrix(stop, stop_outcomes, signature)
    booster = xgb.train(
        _params(settings, seed, float(outcomes.mean())),
        _matrix(train, outcomes, signature),
        num_boost_round=settings.rounds,
        evals=[(held, "stop")],
        callbacks=[stopper],
        verbose_eval=False,
    )
    return Trees(booster, signature, int(booster.best_iteration) + 1)


def load(raw: bytes, signature: Signature, trees: int) -> Trees:
    """Return the model that `dump` wrote."""
    import xgboost as xgb

    booster = xgb.Booster()
    booster.load_model(bytearray(raw))
    return Trees(booster, signature, trees)


def library() -> str:
    """Return the library and version that fits and scores."""
    import xgboost as xgb

    return f"xgboost {xgb.__version__}"


def _params(settings: TreeSettings, seed: int, rate: float) -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": settings.depth,
        "eta": settings.learning_rate,
        "min_child_weight": settings.min_child_weight * rate * (1 - rate),
        "subsample": settings.row_share,
        "colsample_bytree": settings.column_share,
        "lambda": settings.l2,
        "base_score": min(max(rate, 1e-6), 1 - 1e-6),
        "seed": seed,
        "nthread": settings.threads,
        "max_cat_to_onehot": 16,
    }


def _matrix(matrix: Matrix, outcomes: Floats | None, signature: Signature) -> Any:
    import xgboost as xgb

    kinds = ["c" if kind == CATEGORY else "float" for kind in signature.kinds]
    names = list(signature.names)
    return xgb.DMatrix(matrix, label=outcomes, feature_names=names, feature_types=kinds, enable_categorical=True)


def _float64(found: Any) -> Floats:
    return np.asarray(found, dtype=np.float64)
