"""The documents say what the program does: reference pages are current, and every verb, gate and setting is in them."""

import re
from pathlib import Path

import pytest
import typer

from foregate.app.reference import pages
from foregate.cases.leads.lifecycle import PHASES
from foregate.cli import cli

ROOT = Path(__file__).resolve().parent.parent
RENDERED = pages(typer.main.get_command(cli))


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_a_reference_page_is_what_foregate_docs_writes(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == RENDERED[name], "run `foregate docs docs`"


def test_every_gate_says_why_and_stands_in_the_page() -> None:
    for module in PHASES.values():
        for gate in module.GATES:
            assert gate.why, gate
            assert f"`{gate.evidence}`" in RENDERED["gates.md"]


def test_every_verb_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    known = {
        usage.split("`foregate ")[1].split("`")[0]
        for usage in re.findall(r"## `foregate [^`]*`", RENDERED["commands.md"])
    }
    verbs = {" ".join(k.split()[:2]) if k.startswith("list") else k.split()[0] for k in known}
    used = re.findall(r"^foregate (list \w+|\w+)", readme, re.MULTILINE)
    assert used
    assert set(used) <= verbs


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_picture_needs_no_network() -> None:
    drawn = (ROOT / "docs" / "demo.svg").read_text()
    assert not re.search(r"(href|src|url\()\s*=?\s*[\"']?https?:", drawn)
