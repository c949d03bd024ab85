"""foregate.toml: read, checked and named to the key where it is wrong."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foregate.cases.leads.settings import LeadsSettings
from foregate.core.errors import ConfigurationError
from foregate.warehouse.sources import Source

FILE = "foregate.toml"
_SECRET = re.compile(r"\$\{(\w+)\}")


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
    as_of: date | None = None
    seed: int = Field(default=42, ge=0, lt=2**31)
    warehouse: Connection = Connection(url="duckdb:///warehouse.duckdb")
    ledger: Connection = Connection(url="sqlite:///ledger.sqlite")
    sources: dict[str, Source]
    features: dict[str, FeatureSettings] = Field(default_factory=dict)
    leads: LeadsSettings | None = None


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
        prefix = f"{scheme}:///"
        return str(self.path(self.address(url).removeprefix(prefix))) if url.startswith(prefix) else None

    def address(self, url: str) -> str:
        """Return the address with its secrets filled in from the environment."""

        def secret(found: re.Match[str]) -> str:
            if found[1] not in os.environ:
                raise ConfigurationError(
                    f"{self.file}",
                    found=f"no environment variable {found[1]}",
                    wanted=f"the secret that {url} names",
                    then=f"Set {found[1]} before you run Foregate.",
                )
            return os.environ[found[1]]

        return _SECRET.sub(secret, url)


def _read(file: Path) -> Declared:
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            str(file), found="no such file", wanted="a Foregate project", then="Run `foregate init`, or give --project."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            str(file), found=str(error), wanted="a readable file", then="Check its rights."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(file), found=str(error), wanted="TOML", then="Correct that line.") from error
    try:
        return Declared.model_validate(raw)
    except ValidationError as error:
        raise _wrong(file, error, raw) from error


def _wrong(file: Path, error: ValidationError, raw: dict[str, Any]) -> ConfigurationError:
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"]]
    where = f"{file} {_dotted(keys)}"
    if first["type"] == "extra_forbidden":
        allowed = _allowed(keys[:-1])
        near = difflib.get_close_matches(keys[-1], allowed, n=1)
        return ConfigurationError(
            where,
            found="an unknown key",
            wanted=f"one of {', '.join(allowed)}" if allowed else "a known key",
            then=f"Did you mean {near[0]}?" if near else "Remove it, or correct it.",
        )
    if first["type"] == "missing":
        return ConfigurationError(where, found="nothing", wanted="a value", then="Add the key.")
    said = first["msg"].removeprefix("Value error, ")
    return ConfigurationError(where, found=repr(first.get("input"))[:120], wanted=said, then="Correct the value.")


def _dotted(keys: Sequence[str]) -> str:
    return f"[{'.'.join(keys[:-1])}] {keys[-1]}" if len(keys) > 1 else keys[0] if keys else ""


def _allowed(keys: Sequence[str]) -> list[str]:
    """Return the keys a table of the file may have."""
    model: Any = Declared
    for key in keys:
        fields = getattr(model, "model_fields", None)
        model = _model_in(fields[key].annotation) if fields and key in fields else model
    found = getattr(model, "model_fields", {})
    return sorted(found)


def _model_in(annotation: Any) -> Any:
    """Return the pydantic model inside an annotation: X, X | None, dict[str, X] or Annotated[X, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None
