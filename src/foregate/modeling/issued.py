"""Issued forecasts as files: one folder each, written whole, once, and never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from foregate.core.errors import DataError
from foregate.modeling import artifacts

FOLDER = "issued"


def write(folder: Path, key: str, files: Mapping[str, bytes]) -> str:
    """Return the digest of `issued/<key>` of a project's folder, written whole or not at all.

    What is there already with the same bytes is kept as it is: no file of it is touched. Raises DataError naming the
    issue when it is there with other bytes, or with bytes that are not those that were written; nothing is changed
    then.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as there:
    ...     first, again = (write(Path(there), "20251031_a1", {"about.json": b"{}"}) for _ in range(2))
    ...     read(Path(there), "20251031_a1", first), first == again
    ({'about.json': b'{}'}, True)
    """
    place = folder / FOLDER / key
    if not place.exists():
        return artifacts.write(place, files)
    if _there(place, key) != dict(files):
        raise _other(key, "other bytes than were issued")
    return hashlib.sha256((place / artifacts.MANIFEST).read_bytes()).hexdigest()


def read(folder: Path, key: str, digest: str) -> dict[str, bytes]:
    """Return the files of `issued/<key>` by name; raises DataError when they are not those of the digest."""
    return artifacts.read(folder / FOLDER / key, digest)


def _there(place: Path, key: str) -> dict[str, bytes]:
    """Return the files of an issue that is there; raises DataError naming it when they are not as written."""
    try:
        return artifacts.read(place)
    except DataError as error:
        raise _other(key, error.found) from error
    except (ValueError, AttributeError) as error:
        raise _other(key, "a manifest that is none") from error


def _other(key: str, found: str) -> DataError:
    return DataError(
        f"{FOLDER}/{key}",
        found=found,
        wanted="the forecast as it was issued",
        then=f"An issued forecast is never changed: restore the folder `{FOLDER}` from a backup.",
    )
