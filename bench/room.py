"""The room itself: its folders, its two Pythons, one child process at a time, and what the machine was doing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
RESULTS = ROOT / "bench" / "results"
LOCK = ROOT / "bench" / "peers.lock"
PEERS = ROOT / ".venv-bench"


@dataclass(frozen=True)
class Ended:
    """A child process that has ended: what it said and what it used."""

    code: int
    out: str
    seconds: float
    cpu_seconds: float
    peak_mb: int

    def told(self) -> Any:
        """Return the JSON of its last line; raises RuntimeError when it failed."""
        lines = self.out.strip().splitlines()
        if self.code or not lines:
            raise RuntimeError(f"exit {self.code}: {' | '.join(lines[-8:])}")
        return json.loads(lines[-1])


def child(*command: str | Path, environment: dict[str, str] | None = None) -> Ended:
    """Run one child to its end; this process stays small, because a child's peak starts at its parent's size."""
    began = time.perf_counter()
    said = BUILD / f"said-{os.getpid()}.txt"
    said.parent.mkdir(parents=True, exist_ok=True)
    with said.open("wb") as out:
        process = subprocess.Popen(
            [str(c) for c in command], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=environment
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = said.read_text(errors="replace")
    said.unlink()
    return Ended(
        process.returncode,
        text,
        round(time.perf_counter() - began, 3),
        round(used.ru_utime + used.ru_stime, 3),
        used.ru_maxrss // 1024,
    )


def ours(module: str, *arguments: str | Path) -> Ended:
    """Run a module of this room with Foregate's own Python."""
    return child(sys.executable, "-m", module, *arguments)


def theirs(module: str, *arguments: str | Path) -> Ended:
    """Run a module of this room with the peers' Python, made from its lock when it is not there yet."""
    return child(peers_python(), "-m", module, *arguments)


def peers_python() -> Path:
    """Return the Python of the peers' environment; made again when the lock changes."""
    python, stamp = PEERS / "bin" / "python", PEERS / "peers-lock.txt"
    if not stamp.is_file() or stamp.read_text() != LOCK.read_text():
        print("setting up .venv-bench (first use, or the lock has changed)", file=sys.stderr)
        base = f"python3.{sys.version_info.minor}"
        install = ["-m", "pip", "--python", str(python), "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([base, "-m", "venv", "--clear", "--without-pip", str(PEERS)], check=True)
        subprocess.run([base, *install, "--require-hashes", "-r", str(LOCK)], check=True)
        stamp.write_text(LOCK.read_text())
    return python


def machine() -> dict[str, Any]:
    """Return what a reader needs to know about the machine and how busy it was."""
    model = next((x.split(":")[1].strip() for x in _lines("/proc/cpuinfo") if x.startswith("model name")), "unknown")
    memory = next((int(x.split()[1]) // 1024**2 for x in _lines("/proc/meminfo") if x.startswith("MemTotal")), 0)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": memory,
        "system": platform.system(),
        "python": platform.python_version(),
        "load": [round(x, 2) for x in os.getloadavg()],
    }


def _lines(path: str) -> list[str]:
    found = Path(path)
    return found.read_text().splitlines() if found.is_file() else []
