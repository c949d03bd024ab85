"""foregate.toml: read, checked and named to the key where it is wrong."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.leads.settings import LeadsSettings
from foregate.cases.prices.settings import PricesSettings
from foregate.core.errors import ConfigurationError
from foregate.lifecycle.alerts import AlertSettings
from foregate.lifecycle.plan import RolloutSettings
from foregate.warehouse.sources import Source

FILE = "foregate.toml"
_SECRET = re.compile(r"\$\{(\w+)\}")
_BARE = re.compile(r"^[A-Za-z0-9_-]+$")
_PLACE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")
_WANTED = {
    ("int",): "a whole number",
    ("float",): "a number",
    ("bool",): "true or false",
    ("date",): "a date without quotes, like 2025-10-31",
    ("string_type",): "text in quotes",
    ("string_pattern",): "text that matches {pattern}",
    ("dict", "model"): "a table",
    ("tuple", "list"): 'a list, like ["a", "b"]',
    ("greater_than_equal",): "at least {ge}",
    ("greater_than",): "more than {gt}",
    ("less_than_equal",): "at most {le}",
    ("less_than",): "less than {lt}",
    ("enum", "literal"): "{expected}",
}


class Connection(BaseModel):
    """Where something lives; `${NAME}` in the address is read from the environment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str


class FeatureSettings(BaseModel):
    """What a feature file is keyed by, if not by its source's own key on the lead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str | None = None


class Declared(BaseModel):
    """All that foregate.toml may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    as_of: date | None = Field(default=None, strict=True)
    seed: int = Field(default=42, ge=0, lt=2**31, strict=True)
    warehouse: Connection = Connection(url="duckdb:///warehouse.duckdb")
    ledger: Connection = Connection(url="sqlite:///ledger.sqlite")
    sources: dict[str, Source]
    features: dict[str, FeatureSettings] = Field(default_factory=dict)
    leads: LeadsSettings | None = None
    funnel: FunnelSettings | None = None
    prices: PricesSettings | None = None
    rollout: RolloutSettings = RolloutSettings()
    alerts: AlertSettings = AlertSettings()


class Project:
    """A project folder: what it declares, and where its files are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.file = self.folder / FILE
        self.declared = _read(self.file)

    def path(self, relative: str) -> Path:
        """Return a path of the project, absolute."""
        return (self.folder / relative).resolve()

    def day(self, given: date | None) -> date:
        """Return the as-of date: the one given, else the file's; never today's."""
        found = given or self.declared.as_of
        if found is None:
            raise ConfigurationError(
                f"{self.file} as_of",
                found="no as-of date",
                wanted="the day whose knowledge the run may use",
                then='Say as_of = 2025-10-31 there, or give --as-of. Foregate never takes "today" by itself.',
            )
        return found

    def local(self, url: str, scheme: str) -> str | None:
        """Return the absolute path of a local address like `duckdb:///file`, or None for another scheme."""
        prefix, address = f"{scheme}:///", self.address(url)
        return str(self.path(address.removeprefix(prefix))) if address.startswith(prefix) else None

    def address(self, url: str) -> str:
        """Return the address with its secrets filled in from the environment."""

        def secret(found: re.Match[str]) -> str:
            if not os.environ.get(found[1]):
                places = {self.declared.ledger.url: "[ledger] url", self.declared.warehouse.url: "[warehouse] url"}
                key = places.get(url, "[[alerts.sink]] url")
                raise ConfigurationError(
                    f"{self.file} {key}",
                    found=f"no environment variable {found[1]}, or an empty one",
                    wanted=f"the secret that {url} names",
                    then=f"Set {found[1]} before you run Foregate.",
                )
            return os.environ[found[1]]

        return _SECRET.sub(secret, url)


def _read(file: Path) -> Declared:
    raw = _parsed(file, _text(file))
    _refuse_non_finite(file, raw, [])
    try:
        return Declared.model_validate(raw)
    except ValidationError as error:
        raise _wrong(file, error, raw) from error


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise ConfigurationError(
            str(file), found="no such file", wanted="a Foregate project", then="Run `foregate init`, or give --project."
        ) from error
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise ConfigurationError(str(file), found=found, wanted="a readable file", then="Check its rights.") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{file} line {content[: error.start].count(10) + 1}",
            found=f"the byte 0x{content[error.start]:02x}",
            wanted="UTF-8 text",
            then="Save the file as UTF-8.",
        ) from error


def _parsed(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = _PLACE.search(str(error))
        lines = text.splitlines()
        number = int(said[1]) if said and said[1] else len(lines)
        line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        raise ConfigurationError(
            f"{file} line {number}",
            found=f"{_PLACE.sub('', str(error)).strip()} in `{line[:100]}`",
            wanted="TOML",
            then="Correct that line.",
        ) from error


def _refuse_non_finite(file: Path, value: Any, keys: list[str | int]) -> None:
    """Raise ConfigurationError for `nan` and `inf`: as a threshold they would stop everything or nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(
            f"{file} {_dotted(keys)}", found=str(value), wanted="a finite number", then="Correct the value."
        )
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        _refuse_non_finite(file, part, [*keys, key])


def _wrong(file: Path, error: ValidationError, raw: dict[str, Any]) -> ConfigurationError:
    """Return the first thing to correct; a misspelt key comes before the key that is missing because of it."""
    errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = errors[0]
    keys = _present(first["loc"], raw)
    table = first["type"] in {"value_error", "model_type"} and isinstance(first.get("input"), dict)
    where = f"{file} {f'[{_joined(keys)}]' if table else _dotted(keys)}"
    more = f" {len(errors) - 1} more to correct after it." if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        allowed = _allowed(keys[:-1])
        near = difflib.get_close_matches(str(keys[-1]), allowed, n=1)
        return ConfigurationError(
            where,
            found="an unknown key",
            wanted=f"one of {', '.join(allowed)}" if allowed else "a known key",
            then=(f"Did you mean {near[0]}?" if near else "Remove it, or correct it.") + more,
        )
    if first["type"] == "missing":
        field = _fields(_model_at(keys[:-1])).get(str(keys[-1]))
        wanted = "a table" if field and _model_in(field.annotation) else "a value"
        return ConfigurationError(where, found="nothing", wanted=wanted, then=f"Add it.{more}")
    found, wanted = _said(first)
    return ConfigurationError(where, found=found, wanted=wanted, then=f"Correct the value.{more}")


def _said(error: Any) -> tuple[str, str]:
    """Return what was found and what was wanted, in the words of the file and not of the checking library."""
    found, said = _shown(error.get("input")), error["msg"].removeprefix("Value error, ")
    for kinds, words in _WANTED.items():
        if error["type"].startswith(kinds):
            return found, words.format(**error.get("ctx", {}))
    if error["type"] != "value_error":
        return found, said.removeprefix("Input should be ")
    before, says, after = said.partition(": say ")
    if says:
        return before, after
    for word in ("say ", "wanted "):
        if said.startswith(word):
            return found, said.removeprefix(word)
    return said, "keys that fit together"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"a table with {', '.join(map(str, value)) or 'nothing'}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date | time):
        return value.isoformat()
    return repr(value)[:120]


def _present(loc: Sequence[str | int], raw: Any) -> list[str | int]:
    """Return the keys of an error's place that are in the file, without what the checking library put between."""
    keys: list[str | int] = []
    for place, part in enumerate(loc):
        inside = (isinstance(raw, dict) and part in raw) or (
            isinstance(raw, list) and isinstance(part, int) and part < len(raw)
        )
        if inside:
            raw = raw[part]
        if inside or (place == len(loc) - 1 and isinstance(raw, dict)):
            keys.append(part)
    return keys


def _joined(keys: Sequence[str | int]) -> str:
    return ".".join(str(k) if _BARE.match(str(k)) else f'"{k}"' for k in keys)


def _dotted(keys: Sequence[str | int]) -> str:
    if keys and isinstance(keys[-1], int):
        return f"{_dotted(keys[:-1])}, item {keys[-1] + 1}"
    return f"[{_joined(keys[:-1])}] {_joined(keys[-1:])}" if len(keys) > 1 else _joined(keys)


def _allowed(keys: Sequence[str | int]) -> list[str]:
    """Return the keys a table of the file may have."""
    return sorted(_fields(_model_at(keys)))


def _model_at(keys: Sequence[str | int]) -> Any:
    """Return the pydantic model that a table of the file is read by, or None; a table of tables takes one key more."""
    model: Any = Declared
    named = False
    for key in keys:
        field = None if named else _fields(model).get(str(key))
        named = field is not None and get_origin(field.annotation) is dict
        model = _model_in(field.annotation) if field else model
    return model


def _fields(model: Any) -> dict[str, Any]:
    """Return a table's fields by the names the file gives them."""
    return {field.alias or name: field for name, field in getattr(model, "model_fields", {}).items()}


def _model_in(annotation: Any) -> Any:
    """Return the pydantic model inside an annotation: X, X | None, dict[str, X] or Annotated[X, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None
