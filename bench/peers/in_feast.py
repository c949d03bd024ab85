"""What Feast's historical retrieval can express: the last row known of an entity, here registration and firm kind.

It can not express: counts and windows that move with each lead's day, values filled in later than their row (late
columns), a feature that keys another source, ties in a declared order, or "known strictly before": its join takes
rows up to and including the lead's moment, so each moment is put on the eve. Its file store also drops leads: those
that share keys and day with another, and, when two views are asked for at once, those of which one view has later rows
only. So each view is asked for alone, once per key and day, and its answer joined back.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Bool, String

from bench.timing import job, tell, timed

NOBODY = -1
MOMENT = "event_timestamp"
WANTED = {
    "person_id": ["registration:rep_type"],
    "firm_id": ["firm_kind:is_wirehouse", "firm_kind:is_independent_ria"],
}


def opened(folder: Path, data: Path) -> FeatureStore:
    """Return a store over Parquet files prepared as Feast wants them: a moment in UTC for each row."""
    seen = pd.read_parquet(data / "person_snapshot.parquet", columns=["person_id", "recorded_on", "rep_type"])
    seen = seen[seen.rep_type.notna()].assign(moment=pd.to_datetime(seen.recorded_on, utc=True))
    seen.drop(columns="recorded_on").to_parquet(folder / "registration.parquet")
    firms = pd.read_parquet(data / "firms.parquet")
    firms["is_independent_ria"] = firms.entity_classification == "Independent RIA"
    firms["moment"] = pd.to_datetime(firms.first_seen_on, utc=True)
    firms[["firm_id", "is_wirehouse", "is_independent_ria", "moment"]].to_parquet(folder / "firm_kind.parquet")
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store=None,
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    person = Entity(name="person", join_keys=["person_id"], value_type=ValueType.INT64)
    firm = Entity(name="firm", join_keys=["firm_id"], value_type=ValueType.INT64)
    registration = _view("registration", person, folder, [Field(name="rep_type", dtype=String)])
    kinds = [Field(name="is_wirehouse", dtype=Bool), Field(name="is_independent_ria", dtype=Bool)]
    store.apply([person, firm, registration, _view("firm_kind", firm, folder, kinds)])
    return store


def _view(name: str, entity: Entity, folder: Path, schema: list[Field]) -> FeatureView:
    source = FileSource(name=name, path=str(folder / f"{name}.parquet"), timestamp_field="moment")
    return FeatureView(name=name, entities=[entity], ttl=timedelta(0), schema=schema, source=source, online=False)


def retrieved(store: FeatureStore, entities: pd.DataFrame) -> pd.DataFrame:
    """Return the leads with the features of every view."""
    found = entities
    for key, features in WANTED.items():
        once = entities[[key, MOMENT]].drop_duplicates()
        answer = store.get_historical_features(entity_df=once, features=features).to_df()
        found = found.merge(answer, on=[key, MOMENT], how="left")
    return found


def main(asked: dict[str, Any]) -> None:
    """Retrieve, time and write the subset."""
    spine = pd.read_parquet(asked["spine"], columns=["subject_id", "as_of", "person_id", "firm_id"])
    eve = pd.to_datetime(spine.as_of, utc=True) - pd.Timedelta(days=1)
    entities = pd.DataFrame(
        {
            "subject_id": spine.subject_id,
            "person_id": spine.person_id.fillna(NOBODY).astype("int64"),
            "firm_id": spine.firm_id.fillna(NOBODY).astype("int64"),
            "event_timestamp": eve,
        }
    )
    with tempfile.TemporaryDirectory() as name:
        store = opened(Path(name), Path(asked["data"]))
        found, times = timed(lambda: retrieved(store, entities), asked["repeats"])
    found[["subject_id", "rep_type", "is_wirehouse", "is_independent_ria"]].to_parquet(asked["out"])
    tell(times, ["feast", "dask"])


if __name__ == "__main__":
    main(job())
