"""Packages: everything a version needs to score, in native formats, checked by hash and by golden rows at load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foregate.cases.leads.serving import Profile
from foregate.cases.leads.settings import LeadsSettings
from foregate.cases.leads.tiers import TierRules
from foregate.cases.leads.work import Floats
from foregate.core.errors import DataError
from foregate.metrics.rates import BetaPrior
from foregate.modeling import artifacts, boosted
from foregate.modeling.boosted import Trees
from foregate.modeling.calibration import Calibrator
from foregate.modeling.signature import Signature, encode
from foregate.warehouse.features import FeatureFile, parse_feature
from foregate.warehouse.sources import Source

GOLDEN_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Package:
    """A version that can score: features, sources, model, calibration, tiers and what each tier is worth."""

    version: str
    as_of: date
    train_end: date
    settings: LeadsSettings
    sources: Mapping[str, Source]
    files: tuple[FeatureFile, ...]
    rules: TierRules
    trees: Trees
    calibrator: Calibrator
    prices: Mapping[str, BetaPrior]
    profile: Profile

    def score(self, table: pa.Table) -> tuple[Floats, Floats]:
        """Return (margins, probabilities) of a table that has the signature's features; DataError for infinite ones."""
        matrix = encode(table, self.trees.signature)
        _check_finite(matrix, self.trees.signature)
        margins = self.trees.margins(matrix)
        return margins, self.calibrator.probabilities(margins)

    def files_of(self) -> dict[str, bytes]:
        """Return the package as files by name."""
        features = [
            {"name": f.name, "path": f"features/{f.name}.sql", "sql": _sql_of(f), "of": f.of} for f in self.files
        ]
        about = {
            "version": self.version,
            "as_of": self.as_of.isoformat(),
            "train_end": self.train_end.isoformat(),
            "trees": self.trees.trees,
            "library": boosted.library(),
        }
        return {
            "about.json": artifacts.to_json(about),
            "model.json": self.trees.dump(),
            "signature.json": artifacts.to_json(self.trees.signature.to_json()),
            "calibration.json": artifacts.to_json(self.calibrator.to_json()),
            "settings.json": self.settings.model_dump_json(by_alias=True).encode(),
            "sources.json": artifacts.to_json({n: s.model_dump(mode="json") for n, s in self.sources.items()}),
            "features.json": artifacts.to_json(features),
            "tiers.json": self.rules.model_dump_json().encode(),
            "profile.json": artifacts.to_json(self.profile.to_json()),
            "prices.json": artifacts.to_json({n: [p.a, p.b] for n, p in self.prices.items()}),
        }


def _check_finite(matrix: NDArray[np.float32], signature: Signature) -> None:
    for name, infinite in zip(signature.names, np.isinf(matrix).sum(axis=0).tolist(), strict=True):
        if infinite:
            raise DataError(
                f"feature {name}",
                found=f"infinite for {infinite:,} of {len(matrix):,} rows",
                wanted="a finite number, or none",
                then="Look for a division by 0, or a number beyond 3e38, in the feature or its source.",
            )


def write(package: Package, golden: pa.Table, folder: Path) -> str:
    """Return the digest of the package written beside its golden rows: inputs and the scores they must give."""
    margins, probabilities = package.score(golden)
    names = package.trees.signature.names
    rows = {
        "inputs": {name: _plain(golden.column(name)).to_pylist() for name in names},
        "types": {name: str(golden.schema.field(name).type) for name in names},
        "margins": margins.tolist(),
        "probabilities": probabilities.tolist(),
    }
    return artifacts.write(folder, {**package.files_of(), "golden.json": artifacts.to_json(rows)})


def read(folder: Path, digest: str | None = None) -> Package:
    """Return the package of a folder after its hashes and golden rows have been checked; raises DataError."""
    files = artifacts.read(folder, digest)
    found = {
        n.removesuffix(".json"): json.loads(b) for n, b in files.items() if n.endswith(".json") and n != "model.json"
    }
    signature = Signature.from_json(found["signature"])
    package = Package(
        version=found["about"]["version"],
        as_of=date.fromisoformat(found["about"]["as_of"]),
        train_end=date.fromisoformat(found["about"]["train_end"]),
        settings=LeadsSettings.model_validate(found["settings"]),
        sources={n: Source.model_validate(s) for n, s in found["sources"].items()},
        files=tuple(parse_feature(f["name"], f["path"], f["sql"], f["of"]) for f in found["features"]),
        rules=TierRules.model_validate_json(files["tiers.json"]),
        trees=boosted.load(files["model.json"], signature, found["about"]["trees"]),
        calibrator=Calibrator(**found["calibration"]),
        prices={n: BetaPrior(*p) for n, p in found["prices"].items()},
        profile=Profile.from_json(found["profile"]),
    )
    _check_golden(package, found["golden"], folder)
    return package


def _check_golden(package: Package, golden: Mapping[str, Any], folder: Path) -> None:
    table = pa.table({n: pa.array(v, _arrow_type(golden["types"][n])) for n, v in golden["inputs"].items()})
    margins, probabilities = package.score(table)
    worst = max(
        float(np.abs(margins - np.array(golden["margins"])).max(initial=0)),
        float(np.abs(probabilities - np.array(golden["probabilities"])).max(initial=0)),
    )
    if not worst <= GOLDEN_TOLERANCE:
        raise DataError(
            f"artifact {folder / 'golden.json'}",
            found=f"scores that differ by up to {worst:.3g}",
            wanted=f"the {table.num_rows} golden rows' scores",
            then="The library that scores is not the one that trained; install the locked requirements.",
        )


def _plain(column: Any) -> Any:
    """Return the column in a type that JSON keeps: a decimal as the number the model is given."""
    return column.cast(pa.float64(), safe=False) if pa.types.is_decimal(column.type) else column


def _arrow_type(name: str) -> Any:
    simple = {"double": pa.float64(), "float": pa.float32(), "string": pa.string(), "bool": pa.bool_()}
    if name in simple:
        return simple[name]
    if name.startswith("decimal128"):
        return pa.float64()
    return pa.type_for_alias(name)


def _sql_of(file: FeatureFile) -> str:
    from sqlglot import exp

    select = exp.select(*(exp.alias_(tree.copy(), name) for name, tree in file.outputs.items()))
    if file.source:
        select = select.from_(file.source)
    return (select.where(file.where.copy()) if file.where else select).sql("duckdb")
