"""The house rules that no linter knows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    p for room in ("src", "tests", "bench", "examples") for p in (ROOT / room).rglob("*") if p.suffix in {".py", ".sql"}
)
FORBIDDEN_WORDS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "processor"}
MOODS = re.compile(r"(^|_)(final|fixed|new|old|copy|v\d+|phase_?\d+)(_|$)")
PASSED_OVER = {".venv", ".venv-bench", ".git", "demo", "build", ".hypothesis", ".mypy_cache", ".ruff_cache"}
REGISTRY_HOSTS = re.compile(r"https?://[^\s\"'<>)]*(pypi|pythonhosted|npmjs|debian\.org|jsdelivr|unpkg|cdnjs)", re.I)


def tracked() -> list[Path]:
    return [p for p in ROOT.rglob("*") if p.is_file() and not PASSED_OVER & set(p.relative_to(ROOT).parts)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_named_for_the_domain_and_fits_in_one_sitting(path: Path) -> None:
    stem = path.stem.removeprefix("test_").strip("_")
    assert not FORBIDDEN_WORDS & set(stem.split("_")), f"{path}: say what it is, not that it helps"
    assert not MOODS.search(stem), f"{path}: versions, phases and moods live in the ledger, not in names"
    assert len(path.read_text().splitlines()) <= 400, f"{path}: over 400 lines, split by noun"


def test_no_pickle_and_no_notebook_stands_in_the_repo() -> None:
    endings = {".pkl", ".pickle", ".ipynb", ".joblib"}
    offenders = [p for p in tracked() if p.suffix in endings]
    assert offenders == []
    pickling = re.compile(r"^\s*(import|from) (pickle|joblib|cloudpickle)\b", re.MULTILINE)
    importing = [p for p in SOURCES if pickling.search(p.read_text())]
    assert importing == []


def test_no_registry_host_is_named_anywhere() -> None:
    endings = {".py", ".toml", ".md", ".txt", ".sql", ".svg", ".lock", ""}
    texts = [p for p in tracked() if p.suffix in endings and p.stat().st_size < 2_000_000]
    assert [p for p in texts if REGISTRY_HOSTS.search(p.read_text(errors="ignore"))] == []
    assert "index-url" not in (ROOT / "requirements.lock").read_text()


def test_every_room_says_what_it_is_for() -> None:
    silent = [p for p in (ROOT / "src").rglob("*.py") if not p.read_text().lstrip().startswith('"""')]
    assert silent == []
