"""All demo features by hand in Polars: lazy reads, running counts and as-of joins for the firms."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from polars import col

from bench.timing import job, tell, timed

DAY = pl.duration(days=1)
LONG_AGO = pl.date(1960, 1, 1)
NEVER = pl.date(9999, 1, 1)


def features(data: Path, spine_file: Path) -> pl.DataFrame:
    """Return one row per lead with all features."""
    spine = pl.scan_parquet(spine_file)
    employment = pl.scan_parquet(data / "employment.parquet")
    found = career(spine, employment)
    known = col("person_id").is_not_null()
    lead = (
        spine.join(found, on="subject_id", how="left")
        .with_columns(
            pl.when(known).then(col("prior_firms").fill_null(0)).alias("prior_firms"),
            pl.when(known).then(col("mobility_3yr").fill_null(0)).alias("mobility_3yr"),
            pl.when(known).then(col("has_firm_data").fill_null(value=False)).alias("has_firm_data"),
            (col("email_known_on") < col("as_of")).fill_null(value=False).alias("has_email"),
            (col("linkedin_known_on") < col("as_of")).fill_null(value=False).alias("has_linkedin"),
        )
        .collect()
    )
    asked = lead.select("firm_id", "as_of").drop_nulls().unique().sort("as_of")
    first, last = asked["as_of"].min(), asked["as_of"].max()
    firms = (
        asked.join_asof(headcount(employment, asked, first, last), left_on="as_of", right_on="day", by="firm_id")
        .join_asof(departures(data, asked, first, last), left_on="as_of", right_on="day", by="firm_id")
        .join(kinds(data), on="firm_id", how="left")
        .with_columns(*(col(n).fill_null(0) for n in ("heads", "net", "d365", "d90", "d180")))
    )
    return derived(
        lead.join(seen_kinds(firms), on=["firm_id", "as_of"], how="left").join(
            registered(spine, data), on="subject_id", how="left"
        )
    )


def career(spine: pl.LazyFrame, employment: pl.LazyFrame) -> pl.LazyFrame:
    """Return the features of one person's career; ties of the latest start go to the larger firm."""
    rows = (
        spine.select("subject_id", "as_of", "person_id")
        .join(employment, on="person_id")
        .filter(col("recorded_on") < col("as_of"), col("started_on").is_between(LONG_AGO, col("as_of")))
        .with_columns(
            here=~((col("ended_on") < col("as_of")) & (col("ended_recorded_on") < col("as_of"))).fill_null(value=False)
        )
    )
    counted = rows.group_by("subject_id", "as_of").agg(
        here_since=col("started_on").filter(col("here")).max(),
        earliest=col("started_on").min(),
        latest=col("started_on").max(),
        prior_firms=col("firm_id").filter(~col("here")).drop_nulls().n_unique().cast(pl.Int64),
        mobility_3yr=(col("started_on") > col("as_of").dt.offset_by("-3y")).sum().cast(pl.Int64),
        has_firm_data=col("here").any(),
    )
    now = (
        rows.filter(col("here"), col("firm_id").is_not_null())
        .sort("started_on", "firm_id")
        .group_by("subject_id")
        .agg(col("firm_id").last())
    )
    return counted.join(now, on="subject_id", how="left").select(
        "subject_id",
        "firm_id",
        ((col("as_of") - col("here_since")).dt.total_days() / 30.4375).alias("tenure_months"),
        ((col("as_of") - col("earliest")).dt.total_days() / 365.25).alias("experience_years"),
        "prior_firms",
        "mobility_3yr",
        (col("as_of") - col("latest")).dt.total_days().alias("days_since_last_move"),
        "has_firm_data",
    )


def year_on(day: pl.Expr) -> pl.Expr:
    """Return the first day that lies a year behind; a 29 February has to wait for 1 March."""
    shifted = day.dt.offset_by("1y")
    return pl.when(shifted.dt.offset_by("-1y") < day).then(shifted + DAY).otherwise(shifted)


def headcount(employment: pl.LazyFrame, asked: pl.DataFrame, first: object, last: object) -> pl.DataFrame:
    """Return running heads and net change by firm and day."""
    year_before = pl.lit(first).dt.offset_by("-12mo")
    spells = (
        employment.join(asked.lazy().select("firm_id").unique(), on="firm_id", how="semi")
        .filter(
            col("recorded_on") < last,
            col("ended_on").is_null()
            | col("ended_recorded_on").is_null()
            | (col("ended_on") >= year_before)
            | (col("ended_recorded_on") >= first)
            | (col("started_on") > year_before),
        )
        .select(
            "firm_id",
            joined=pl.max_horizontal("started_on", col("recorded_on") + DAY),
            joined_year=year_on(col("started_on")),
            gone=_both(col("ended_on") + DAY, col("ended_recorded_on") + DAY),
            left=pl.max_horizontal(_both(col("ended_on"), col("ended_recorded_on") + DAY), col("recorded_on") + DAY),
            left_year=year_on(col("ended_on")),
            ended=col("ended_on").is_not_null() & col("ended_recorded_on").is_not_null(),
        )
        .collect()
    )
    arrived, parted = col("joined") < col("joined_year"), col("ended") & (col("left") < col("left_year"))
    stayed = col("joined") < col("gone").fill_null(NEVER)
    return _running(
        [
            _change(spells.filter(stayed), "joined", heads=1, net=0),
            _change(spells.filter(stayed & col("gone").is_not_null()), "gone", heads=-1, net=0),
            _change(spells.filter(arrived), "joined", heads=0, net=1),
            _change(spells.filter(arrived), "joined_year", heads=0, net=-1),
            _change(spells.filter(parted), "left", heads=0, net=-1),
            _change(spells.filter(parted), "left_year", heads=0, net=1),
        ],
        first,
        last,
    )


def departures(data: Path, asked: pl.DataFrame, first: object, last: object) -> pl.DataFrame:
    """Return running departures of 90, 180 and 365 days by firm and day."""
    rows = (
        pl.scan_parquet(data / "departures.parquet")
        .join(asked.lazy().select("firm_id").unique(), on="firm_id", how="semi")
        .filter(col("departed_on") > pl.lit(first) - pl.duration(days=365), col("recorded_on") < last)
        .with_columns(seen=pl.max_horizontal("departed_on", col("recorded_on") + DAY))
        .collect()
    )
    changes = []
    for days in (365, 90, 180):
        end = col("departed_on") + pl.duration(days=days)
        counted = rows.filter(col("seen") < end).with_columns(over=end)
        signs = {f"d{n}": int(n == days) for n in (365, 90, 180)}
        changes += [
            _change(counted, "seen", **signs),
            _change(counted, "over", **{name: -sign for name, sign in signs.items()}),
        ]
    return _running(changes, first, last)


def kinds(data: Path) -> pl.DataFrame:
    """Return what is on file of each firm."""
    return pl.read_parquet(data / "firms.parquet").select(
        "firm_id",
        "first_seen_on",
        "protocol_joined_on",
        "is_wirehouse",
        (col("entity_classification") == "Independent RIA").alias("is_independent_ria"),
    )


def seen_kinds(firms: pl.DataFrame) -> pl.DataFrame:
    """Return the firms with their kind where it was on file."""
    seen = col("first_seen_on") < col("as_of")
    return firms.select(
        "firm_id",
        "as_of",
        "heads",
        "net",
        "d365",
        "d90",
        "d180",
        pl.when(seen).then(col("is_wirehouse")).alias("is_wirehouse"),
        pl.when(seen).then(col("is_independent_ria")).alias("is_independent_ria"),
        pl.when(seen)
        .then((col("protocol_joined_on") < col("as_of")).fill_null(value=False))
        .alias("is_broker_protocol"),
    )


def registered(spine: pl.LazyFrame, data: Path) -> pl.DataFrame:
    """Return each lead's registration as last recorded before its day."""
    return (
        spine.select("subject_id", "as_of", "person_id")
        .join(pl.scan_parquet(data / "person_snapshot.parquet").filter(col("rep_type").is_not_null()), on="person_id")
        .filter(col("recorded_on") < col("as_of"))
        .sort("recorded_on", "rep_type")
        .group_by("subject_id")
        .agg(col("rep_type").last())
        .collect()
    )


def derived(lead: pl.DataFrame) -> pl.DataFrame:
    """Return all features with those made of others."""
    tenure, moves, net = col("tenure_months"), col("mobility_3yr"), col("net")
    before = col("d180") - col("d90")
    return lead.select(
        "subject_id",
        "as_of",
        "firm_id",
        "tenure_months",
        "experience_years",
        "prior_firms",
        "mobility_3yr",
        "days_since_last_move",
        "has_firm_data",
        "has_email",
        "has_linkedin",
        col("heads").alias("firm_rep_count_at_contact"),
        net.alias("firm_net_change_12mo"),
        col("d365").alias("firm_departures_corrected"),
        col("d90").alias("firm_departures_90d"),
        col("d180").alias("firm_departures_180d"),
        "is_wirehouse",
        "is_independent_ria",
        "is_broker_protocol",
        "rep_type",
        _words([(tenure < 12, "0-12"), (tenure < 24, "12-24"), (tenure < 48, "24-48"), (tenure < 120, "48-120")])
        .otherwise(pl.when(tenure >= 120).then(pl.lit("120+")))
        .alias("tenure_bucket"),
        _words([(moves >= 2, "high"), (moves == 1, "low"), (moves == 0, "stable")]).alias("mobility_tier"),
        _words(
            [(net < -10, "heavy bleeding"), (net < 0, "light bleeding"), (net == 0, "stable"), (net > 0, "growing")]
        ).alias("firm_stability_tier"),
        _words(
            [
                (col("d365") < 3, "stable"),
                (col("d90") > 1.5 * before, "accelerating"),
                (col("d90") < 0.5 * before, "decelerating"),
                (col("d365") >= 3, "steady"),
            ]
        ).alias("bleeding_velocity"),
        ((moves >= 2) & (net < -10)).alias("mobility_x_heavy_bleeding"),
        ((tenure < 24) & (moves >= 2)).alias("short_tenure_x_high_mobility"),
        (col("days_since_last_move") <= 365).alias("is_recent_mover"),
        (col("rep_type") == "IA").alias("is_ia_rep_type"),
        (col("rep_type") == "DR").alias("is_dual_registered"),
    )


def _words(cases: list[tuple[pl.Expr, str]]) -> pl.Expr:
    chain = pl.when(cases[0][0]).then(pl.lit(cases[0][1]))
    for condition, word in cases[1:]:
        chain = chain.when(condition).then(pl.lit(word))
    return chain


def _both(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    return pl.when(left.is_not_null() & right.is_not_null()).then(pl.max_horizontal(left, right))


def _change(rows: pl.DataFrame, day: str, **values: int) -> pl.DataFrame:
    counts = [pl.lit(value, dtype=pl.Int64).alias(name) for name, value in values.items()]
    return rows.select("firm_id", col(day).alias("day"), *counts)


def _running(changes: list[pl.DataFrame], first: object, last: object) -> pl.DataFrame:
    names = [name for name in changes[0].columns if name not in ("firm_id", "day")]
    return (
        pl.concat(changes)
        .filter(col("day") <= last)
        .with_columns(pl.max_horizontal("day", pl.lit(first)))
        .group_by("firm_id", "day")
        .agg(*(col(n).sum() for n in names))
        .sort("firm_id", "day")
        .with_columns(*(col(n).cum_sum().over("firm_id") for n in names))
        .sort("day")
    )


if __name__ == "__main__":
    asked = job()
    answer, times = timed(lambda: features(Path(asked["data"]), Path(asked["spine"])), asked["repeats"])
    answer.write_parquet(asked["out"])
    tell(times, ["polars"])
