"""One library of boosted trees: fit with early stopping and like settings, judged on later rows, one thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.timing import job, tell, timed

ROUNDS, PATIENCE, DEPTH, RATE, L2, SHARE, MIN_ROWS = 600, 50, 3, 0.05, 5.0, 0.8, 10.0
Slices = dict[str, tuple[np.ndarray, np.ndarray]]


def fit_xgboost(rows: Slices, text: list[int], seed: int) -> Any:
    """Fit as Foregate does."""
    import xgboost as xgb

    kinds = ["c" if i in text else "float" for i in range(rows["fit"][0].shape[1])]
    fit, stop = (
        xgb.DMatrix(x, label=y, feature_types=kinds, enable_categorical=True) for x, y in (rows["fit"], rows["stop"])
    )
    share = float(rows["fit"][1].mean())
    settings = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": DEPTH,
        "eta": RATE,
        "min_child_weight": MIN_ROWS * share * (1 - share),
        "subsample": SHARE,
        "colsample_bytree": SHARE,
        "lambda": L2,
        "base_score": share,
        "seed": seed,
        "nthread": 1,
        "max_cat_to_onehot": 16,
    }
    return xgb.train(settings, fit, ROUNDS, evals=[(stop, "stop")], early_stopping_rounds=PATIENCE, verbose_eval=False)


def judge_xgboost(model: Any, rows: Slices, text: list[int]) -> np.ndarray:
    import xgboost as xgb

    kinds = ["c" if i in text else "float" for i in range(rows["test"][0].shape[1])]
    data = xgb.DMatrix(rows["test"][0], feature_types=kinds, enable_categorical=True)
    return np.asarray(model.predict(data, iteration_range=(0, model.best_iteration + 1)))


def fit_lightgbm(rows: Slices, text: list[int], seed: int) -> Any:
    import lightgbm as lgb

    share = float(rows["fit"][1].mean())
    settings = {
        "objective": "binary",
        "metric": "binary_logloss",
        "num_leaves": 2**DEPTH,
        "max_depth": DEPTH,
        "learning_rate": RATE,
        "min_sum_hessian_in_leaf": MIN_ROWS * share * (1 - share),
        "bagging_fraction": SHARE,
        "bagging_freq": 1,
        "feature_fraction": SHARE,
        "lambda_l2": L2,
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    fit = lgb.Dataset(rows["fit"][0], rows["fit"][1], categorical_feature=text, free_raw_data=False)
    stop = lgb.Dataset(rows["stop"][0], rows["stop"][1], reference=fit, categorical_feature=text)
    return lgb.train(settings, fit, ROUNDS, [stop], callbacks=[lgb.early_stopping(PATIENCE, verbose=False)])


def judge_lightgbm(model: Any, rows: Slices, text: list[int]) -> np.ndarray:
    return np.asarray(model.predict(rows["test"][0], num_iteration=model.best_iteration))


def fit_catboost(rows: Slices, text: list[int], seed: int) -> Any:
    from catboost import CatBoostClassifier, Pool

    model = CatBoostClassifier(
        iterations=ROUNDS,
        depth=DEPTH,
        learning_rate=RATE,
        l2_leaf_reg=L2,
        subsample=SHARE,
        bootstrap_type="Bernoulli",
        rsm=SHARE,
        od_type="Iter",
        od_wait=PATIENCE,
        random_seed=seed,
        thread_count=1,
        allow_writing_files=False,
        verbose=False,
    )
    fit, stop = (Pool(_texts(x, text), y, cat_features=text) for x, y in (rows["fit"], rows["stop"]))
    return model.fit(fit, eval_set=stop)


def judge_catboost(model: Any, rows: Slices, text: list[int]) -> np.ndarray:
    return np.asarray(model.predict_proba(_texts(rows["test"][0], text), thread_count=1))[:, 1]


def _texts(matrix: np.ndarray, text: list[int]) -> np.ndarray:
    found = matrix.astype(object)
    for place in text:
        found[:, place] = [str(int(v)) if v == v else "none" for v in matrix[:, place]]
    return found


def auc(outcomes: np.ndarray, scores: np.ndarray) -> float:
    """Return the chance that a positive outscores a negative; ties count half."""
    _, where, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    hits = int(outcomes.sum())
    return float((ranks[outcomes == 1].sum() - hits * (hits + 1) / 2) / (hits * (len(outcomes) - hits)))


FIT: dict[str, tuple[Callable[..., Any], Callable[..., np.ndarray], str]] = {
    "xgboost": (fit_xgboost, judge_xgboost, "model.json"),
    "lightgbm": (fit_lightgbm, judge_lightgbm, "model.txt"),
    "catboost": (fit_catboost, judge_catboost, "model.cbm"),
}


def main(asked: dict[str, Any]) -> None:
    """Fit once per seed, judge each on the later rows, save the last model and the mean of the scores."""
    table = pq.read_table(asked["table"])
    names = [n for n in table.column_names if n not in ("label", "slice")]
    matrix = np.column_stack([table.column(n).to_numpy() for n in names])
    label, slices = table.column("label").to_numpy().astype(float), np.asarray(table.column("slice").to_pylist())
    rows = {s: (matrix[slices == s], label[slices == s]) for s in ("fit", "stop", "test")}
    fit, judge, name = FIT[asked["library"]]
    text, aucs, seconds, cpu = asked["kinds"], [], [], []
    scores = np.zeros(len(rows["test"][1]))
    for seed in asked["seeds"]:
        model, times = timed(lambda seed=seed: fit(rows, text, seed), 1)
        judged = judge(model, rows, text)
        scores += judged / len(asked["seeds"])
        aucs.append(round(auc(rows["test"][1], judged), 5))
        seconds += times["seconds"]
        cpu += times["cpu_seconds"]
    path = Path(asked["folder"]) / name
    model.save_model(str(path))
    pq.write_table(pa.table({"outcome": rows["test"][1], "score": scores}), asked["scores"])
    library = "xgboost-cpu" if asked["library"] == "xgboost" else asked["library"]
    more = {"aucs": aucs, "auc_mean": round(float(np.mean(aucs)), 5), "model_kb": path.stat().st_size // 1000}
    tested = {"test_rows": len(rows["test"][1]), "test_positives": int(rows["test"][1].sum())}
    tell({"seconds": seconds, "cpu_seconds": cpu}, [library], best=min(seconds), **more, **tested)


if __name__ == "__main__":
    main(job())
