"""All demo features by hand in pandas: merges for people, running counts and merge_asof for firms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bench.timing import job, tell, timed

DAY = pd.Timedelta(days=1)
YEAR = pd.DateOffset(years=1)
PAIR = ["firm_id", "as_of"]


def read(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Return a table with dates as timestamps and whole numbers that may be missing."""
    table = pd.read_parquet(path, columns=columns, dtype_backend="numpy_nullable")
    for name in table.columns:
        if name.endswith("_on") or name == "as_of":
            table[name] = pd.to_datetime(table[name])
    return table


def features(data: Path, spine_file: Path) -> pd.DataFrame:
    """Return one row per lead with all features."""
    spine = read(spine_file)
    employment = read(data / "employment.parquet")
    lead = spine.merge(career(spine, employment), on="subject_id", how="left")
    known = lead.person_id.notna()
    for name, empty in (("prior_firms", 0), ("mobility_3yr", 0), ("has_firm_data", False)):
        lead[name] = lead[name].fillna(empty).where(known)
    lead["has_email"] = lead.email_known_on < lead.as_of
    lead["has_linkedin"] = lead.linkedin_known_on < lead.as_of
    asked = lead.loc[lead.firm_id.notna(), PAIR].drop_duplicates().sort_values("as_of")
    firms = asked.astype({"firm_id": "int64"})
    for changes in (headcount(employment, firms), departures(data, firms)):
        firms = pd.merge_asof(firms, changes, left_on="as_of", right_on="day", by="firm_id").drop(columns="day")
    counts = ["heads", "net", "d365", "d90", "d180"]
    firms[counts] = firms[counts].fillna(0).astype("Int64")
    firms = firms.merge(kinds(data), on="firm_id", how="left")
    seen = firms.first_seen_on < firms.as_of
    firms["is_broker_protocol"] = (firms.protocol_joined_on < firms.as_of).astype("boolean")
    for name in ("is_wirehouse", "is_independent_ria", "is_broker_protocol"):
        firms[name] = firms[name].where(seen)
    firms = firms.drop(columns=["first_seen_on", "protocol_joined_on"]).astype({"firm_id": "Int64"})
    lead = lead.merge(firms, on=PAIR, how="left")
    return derived(lead.merge(registered(spine, data), on="subject_id", how="left"))


def career(spine: pd.DataFrame, employment: pd.DataFrame) -> pd.DataFrame:
    """Return the features of one person's career; ties of the latest start go to the larger firm."""
    rows = spine[["subject_id", "as_of", "person_id"]].dropna().merge(employment, on="person_id")
    first = pd.Timestamp("1960-01-01")
    rows = rows[(rows.recorded_on < rows.as_of) & (rows.started_on >= first) & (rows.started_on <= rows.as_of)]
    here = ~((rows.ended_on < rows.as_of) & (rows.ended_recorded_on < rows.as_of))
    rows = rows.assign(here=here, moved=rows.started_on > rows.as_of - pd.DateOffset(years=3))
    by_lead = rows.groupby("subject_id")
    found = by_lead.agg(
        as_of=("as_of", "first"),
        earliest=("started_on", "min"),
        latest=("started_on", "max"),
        mobility_3yr=("moved", "sum"),
        has_firm_data=("here", "any"),
    )
    now = rows[rows.here]
    found["here_since"] = now.groupby("subject_id").started_on.max()
    at_firm = now[now.firm_id.notna()].sort_values(["started_on", "firm_id"])
    found["firm_id"] = at_firm.drop_duplicates("subject_id", keep="last").set_index("subject_id").firm_id
    before = rows[~rows.here].dropna(subset="firm_id").drop_duplicates(["subject_id", "firm_id"])
    found["prior_firms"] = before.groupby("subject_id").size()
    found["prior_firms"] = found.prior_firms.fillna(0).astype("Int64")
    found["mobility_3yr"] = found.mobility_3yr.astype("Int64")
    found["has_firm_data"] = found.has_firm_data.astype("boolean")
    found["tenure_months"] = _days(found.as_of - found.here_since) / 30.4375
    found["experience_years"] = _days(found.as_of - found.earliest) / 365.25
    found["days_since_last_move"] = _days(found.as_of - found.latest)
    return found.drop(columns=["as_of", "earliest", "latest", "here_since"]).reset_index()


def year_on(day: pd.Series) -> pd.Series:
    """Return the first day that lies a year behind; a 29 February has to wait for 1 March."""
    shifted = day + YEAR
    return shifted.where(~(shifted - YEAR < day), shifted + DAY)


def headcount(employment: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Return running heads and net change by firm and day."""
    first, last = asked.as_of.min(), asked.as_of.max()
    rows = employment[employment.firm_id.isin(asked.firm_id.unique()) & (employment.recorded_on < last)]
    ended = rows.ended_on.notna() & rows.ended_recorded_on.notna()
    alive = rows.ended_on.ge(first - YEAR) | rows.ended_recorded_on.ge(first) | rows.started_on.gt(first - YEAR)
    rows = rows[~ended | alive]
    ended = rows.ended_on.notna() & rows.ended_recorded_on.notna()
    joined = np.maximum(rows.started_on, rows.recorded_on + DAY).where(rows.started_on.notna())
    gone = (np.maximum(rows.ended_on, rows.ended_recorded_on) + DAY).where(ended)
    left = np.maximum(np.maximum(rows.ended_on, rows.ended_recorded_on + DAY), rows.recorded_on + DAY).where(ended)
    joined_year, left_year = year_on(rows.started_on), year_on(rows.ended_on)
    stayed = joined.notna() & ~(gone <= joined)
    arrived, parted = joined < joined_year, ended & (left < left_year)
    changes = [
        _change(rows.firm_id[stayed], joined[stayed], heads=1, net=0),
        _change(rows.firm_id[stayed & gone.notna()], gone[stayed & gone.notna()], heads=-1, net=0),
        _change(rows.firm_id[arrived], joined[arrived], heads=0, net=1),
        _change(rows.firm_id[arrived], joined_year[arrived], heads=0, net=-1),
        _change(rows.firm_id[parted], left[parted], heads=0, net=-1),
        _change(rows.firm_id[parted], left_year[parted], heads=0, net=1),
    ]
    return _running(changes, first, last)


def departures(data: Path, asked: pd.DataFrame) -> pd.DataFrame:
    """Return running departures of 90, 180 and 365 days by firm and day."""
    first, last = asked.as_of.min(), asked.as_of.max()
    rows = read(data / "departures.parquet")
    recent = (rows.departed_on > first - pd.Timedelta(days=365)) & (rows.recorded_on < last)
    rows = rows[recent & rows.firm_id.isin(asked.firm_id.unique())]
    seen = np.maximum(rows.departed_on, rows.recorded_on + DAY)
    changes = []
    for days in (365, 90, 180):
        end = rows.departed_on + pd.Timedelta(days=days)
        counted = seen < end
        signs = {f"d{n}": int(n == days) for n in (365, 90, 180)}
        changes += [
            _change(rows.firm_id[counted], seen[counted], **signs),
            _change(rows.firm_id[counted], end[counted], **{name: -sign for name, sign in signs.items()}),
        ]
    return _running(changes, first, last)


def kinds(data: Path) -> pd.DataFrame:
    """Return what is on file of each firm."""
    firms = read(data / "firms.parquet")
    firms["is_independent_ria"] = firms.entity_classification == "Independent RIA"
    kept = ["firm_id", "first_seen_on", "protocol_joined_on", "is_wirehouse", "is_independent_ria"]
    return firms[kept].astype({"firm_id": "int64", "is_independent_ria": "boolean"})


def registered(spine: pd.DataFrame, data: Path) -> pd.DataFrame:
    """Return each lead's registration as last recorded before its day."""
    on_file = read(data / "person_snapshot.parquet", ["person_id", "recorded_on", "rep_type"]).dropna(subset="rep_type")
    rows = spine[["subject_id", "as_of", "person_id"]].dropna().merge(on_file, on="person_id")
    rows = rows[rows.recorded_on < rows.as_of].sort_values(["recorded_on", "rep_type"])
    return rows.drop_duplicates("subject_id", keep="last")[["subject_id", "rep_type"]]


def derived(lead: pd.DataFrame) -> pd.DataFrame:
    """Return all features with those made of others."""
    tenure, moves, net = lead.tenure_months, lead.mobility_3yr, lead.net
    before = lead.d180 - lead.d90
    lead["tenure_bucket"] = _words(
        [tenure < 12, tenure < 24, tenure < 48, tenure < 120, tenure >= 120],
        ["0-12", "12-24", "24-48", "48-120", "120+"],
    )
    lead["mobility_tier"] = _words([moves >= 2, moves == 1, moves == 0], ["high", "low", "stable"])
    lead["firm_stability_tier"] = _words(
        [net < -10, net < 0, net == 0, net > 0], ["heavy bleeding", "light bleeding", "stable", "growing"]
    )
    lead["bleeding_velocity"] = _words(
        [lead.d365 < 3, lead.d90 > 1.5 * before, lead.d90 < 0.5 * before, lead.d365 >= 3],
        ["stable", "accelerating", "decelerating", "steady"],
    )
    lead["mobility_x_heavy_bleeding"] = (moves >= 2) & (net < -10)
    lead["short_tenure_x_high_mobility"] = (tenure < 24).where(tenure.notna()).astype("boolean") & (moves >= 2)
    lead["is_recent_mover"] = lead.days_since_last_move <= 365
    lead["is_ia_rep_type"] = lead.rep_type == "IA"
    lead["is_dual_registered"] = lead.rep_type == "DR"
    named = {
        "heads": "firm_rep_count_at_contact",
        "net": "firm_net_change_12mo",
        "d365": "firm_departures_corrected",
        "d90": "firm_departures_90d",
        "d180": "firm_departures_180d",
    }
    return lead.drop(columns=["person_id", "email_known_on", "linkedin_known_on"]).rename(columns=named)


def _days(span: pd.Series) -> pd.Series:
    return span.dt.days.astype("Int64")


def _words(conditions: list[pd.Series], words: list[str]) -> np.ndarray:
    return np.select([c.fillna(value=False).to_numpy(bool) for c in conditions], words, default=None)


def _change(firm: pd.Series, day: pd.Series, **values: int) -> pd.DataFrame:
    return pd.DataFrame({"firm_id": firm.astype("int64"), "day": day, **values})


def _running(changes: list[pd.DataFrame], first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    rows = pd.concat(changes)
    rows = rows[rows.day <= last]
    rows["day"] = rows.day.clip(lower=first)
    by_day = rows.groupby(["firm_id", "day"]).sum()
    return by_day.groupby(level=0).cumsum().reset_index().sort_values("day")


if __name__ == "__main__":
    asked = job()
    answer, times = timed(lambda: features(Path(asked["data"]), Path(asked["spine"])), asked["repeats"])
    answer.to_parquet(asked["out"])
    tell(times, ["pandas"])
