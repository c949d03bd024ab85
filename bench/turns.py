"""Taking turns: peers that wait in processes of their own and are asked for a few moves each, one after another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Peer:
    """A process that answers each number with the seconds, wall and CPU, of that many moves."""

    def __init__(self, python: str | Path, module: str, asked: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [str(python), "-m", module, json.dumps(asked)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        )
        self.about: dict[str, Any] = self._heard()
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []

    def move(self, times: int, *, counted: bool = True) -> None:
        """Ask for that many moves and wait for them."""
        assert self.process.stdin
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        found = self._heard()
        if counted:
            self.seconds += found["seconds"]
            self.cpu_seconds += found["cpu_seconds"]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):
            line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"exit {self.process.wait()}: {self.process.args}")
        return dict(json.loads(line))


def answer(move: Callable[[], object], before: Callable[[], object] = lambda: None, **about: Any) -> None:
    """Say what this peer is, then time `move` as often as each line of standard input says; `before` is not timed."""
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        wall, cpu = [], []
        for _ in range(int(line)):
            before()
            began, spent = time.perf_counter(), time.process_time()
            move()
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - spent)
        print(json.dumps({"seconds": wall, "cpu_seconds": cpu}), flush=True)
