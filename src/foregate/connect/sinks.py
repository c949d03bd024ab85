"""Alert sinks: a command, an HTTP address or a file that is told an alert as one JSON object."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

from foregate.core.errors import ConfigurationError, OutsideError

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sink:
    """Where an alert is told: `run` of a command, `url` of http, `path` of a file; secrets are already filled in.

    `name` is all that messages say of it: addresses hold secrets.
    """

    name: str
    kind: Literal["command", "http", "file"]
    run: tuple[str, ...] = ()
    url: str = ""
    path: str = ""


def send(sink: Sink, payload: Mapping[str, Any], patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Return once the sink has taken the alert: a command ended well, a server said 2xx, a line is on the disk.

    A command reads the JSON on its standard input. A server that answers with another address is not followed: the
    alert would be lost on the way. `patience_seconds`: how long a command may take, and a server may keep silent.
    Raises OutsideError when the sink does not take it, ConfigurationError for an address that is none.
    """
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True, allow_nan=False)
    if sink.kind == "command":
        _run(sink, text.encode(), patience_seconds)
    elif sink.kind == "http":
        _post(sink, text.encode(), patience_seconds)
    else:
        _append(sink, text.encode())


def _down(sink: Sink, found: str, wanted: str, then: str) -> OutsideError:
    kept = "The alert stays in the outbox and is sent again by the next run."
    return OutsideError(f"alert sink {sink.name}", found=found, wanted=wanted, then=f"{then} {kept}")


def _run(sink: Sink, text: bytes, patience_seconds: float) -> None:
    wanted, then = "a command that ends with 0", "Run it by hand with a JSON object on its input."
    with tempfile.TemporaryFile() as said:
        code = _ended(sink, text, patience_seconds, said, wanted, then)
        if code:
            said.seek(0)
            last = said.read()[-2000:].decode(errors="replace").strip().splitlines()[-1:]
            raise _down(sink, ": ".join([f"exit {code}", *last])[:300], wanted, then)


def _ended(sink: Sink, text: bytes, patience_seconds: float, said: IO[bytes], wanted: str, then: str) -> int:
    """Return the exit code; a command that takes too long is ended with everything it started.

    What it says goes to a file: a pipe would stay open for as long as anything it left behind.
    """
    try:
        process = subprocess.Popen(
            sink.run, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise _down(sink, f"{sink.run[0]}: {error}", "a command that can be run", then) from error
    try:
        process.communicate(text, timeout=patience_seconds)
    except subprocess.TimeoutExpired as error:
        raise _down(sink, f"no end within {patience_seconds:g} seconds", wanted, then) from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirected POST arrives as a GET without the alert, and is answered 200."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(sink: Sink, text: bytes, patience_seconds: float) -> None:
    wanted, then = "an answer from 200 to 299", "Check the address and the server."
    request = _request(sink, text)
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=patience_seconds) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        error.close()
        raise _down(sink, f"the answer {error.code}", wanted, then) from None
    except (OSError, HTTPException) as error:
        # no message of the library's: it may quote the address, and with it a secret
        reason = getattr(error, "reason", error)
        words = (getattr(reason, "strerror", None) or type(reason).__name__).lower()
        raise _down(sink, words, "a server that answers", then) from None


def _request(sink: Sink, text: bytes) -> urllib.request.Request:
    try:
        parts = urlsplit(sink.url)
        if parts.scheme in {"http", "https"} and parts.hostname and sink.url.isascii() and sink.url.isprintable():
            headers = {"Content-Type": "application/json", "User-Agent": "foregate"}
            return urllib.request.Request(sink.url, data=text, headers=headers, method="POST")
    except ValueError:
        pass
    raise ConfigurationError(
        f"alert sink {sink.name} url", found="no web address", wanted="http:// or https:// and a host", then="Edit it."
    )


def _append(sink: Sink, text: bytes) -> None:
    path = Path(sink.path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_there = path.exists()
        with path.open("ab+") as file:
            file.write(_break(file) + text + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if not is_there:
            _fsync_folder(path.parent)
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise _down(sink, found.lower(), "a file that can be written", "Check its folder, rights and disk.") from error


def _break(file: IO[bytes]) -> bytes:
    """Return the line's end that a write which was cut short left out."""
    end = file.seek(0, os.SEEK_END)
    if not end:
        return b""
    file.seek(end - 1)
    return b"" if file.read(1) == b"\n" else b"\n"


def _fsync_folder(folder: Path) -> None:
    link = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(link)
    finally:
        os.close(link)
