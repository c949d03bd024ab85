"""Who holds the right to walk a model: a name that tells a process at work from one that is gone."""

from __future__ import annotations

import os
import re
from pathlib import Path

_HOLDER = re.compile(r"^.* on (?P<node>.+) \(pid (?P<pid>\d+)(?:, started at tick (?P<tick>\d+))?\)$", re.DOTALL)


def holder_name(actor: str) -> str:
    """Return the name a lease is held under: who, on which machine, in which process."""
    _, tick = _status(os.getpid())
    return f"{actor} on {os.uname().nodename} (pid {os.getpid()}{f', started at tick {tick}' if tick else ''})"


def alive(holder: str) -> bool:
    """Return whether the holder may still be at work; a holder on another machine is taken at its word.

    A process number is given out again, in a container at every start: where the system tells when a process started, a
    younger one of the same number is not the holder. One that ended and was not yet buried by its parent is gone.
    """
    found = _HOLDER.match(holder)
    if not found or found["node"] != os.uname().nodename:
        return True
    pid = int(found["pid"])
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    state, tick = _status(pid)
    return state not in {"Z", "X"} and (found["tick"] is None or tick is None or found["tick"] == tick)


def _status(pid: int) -> tuple[str, str | None]:
    """Return a process's state letter and the tick since boot it started at; nothing where the system does not tell."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", None
    after_name = words.rpartition(")")[2].split()
    return (after_name[0], after_name[19]) if len(after_name) > 19 else ("", None)
