"""Artifacts: native formats in one folder per version, every file's hash in a manifest and checked at load."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foregate.core.errors import DataError

MANIFEST = "manifest.json"


def write(folder: Path, files: Mapping[str, bytes]) -> str:
    """Return the digest of a folder written whole or not at all: staged beside, synced, then moved into place."""
    manifest = {name: hashlib.sha256(body).hexdigest() for name, body in sorted(files.items())}
    body = json.dumps(manifest, indent=1, sort_keys=True).encode()
    staged = folder.with_name(folder.name + ".partial")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name, content in {**files, MANIFEST: body}.items():
        with (staged / name).open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    staged.replace(folder)
    return hashlib.sha256(body).hexdigest()


def read(folder: Path, digest: str | None = None) -> dict[str, bytes]:
    """Return the files of a folder by name; raises DataError when one is missing or not what was written."""
    if not (folder / MANIFEST).is_file():
        raise _broken(folder / MANIFEST, "no such file")
    body = (folder / MANIFEST).read_bytes()
    if digest is not None and hashlib.sha256(body).hexdigest() != digest:
        raise _broken(folder / MANIFEST, "another manifest than the ledger recorded")
    found = {}
    for name, wanted in json.loads(body).items():
        path = folder / name
        if not path.is_file():
            raise _broken(path, "no such file")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != wanted:
            raise _broken(path, "bytes other than those that were written")
        found[name] = content
    return found


def to_json(value: Any) -> bytes:
    """Return a value as sorted, readable JSON."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str).encode()


def _broken(path: Path, found: str) -> DataError:
    return DataError(
        f"artifact {path}",
        found=found,
        wanted="the bytes the version was packaged with",
        then="Restore the artifacts folder from a backup, or serve another version.",
    )
