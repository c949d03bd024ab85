"""Choosing: which case of a project a command is about, by the case's name, by a version, or because there is one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from foregate.core.errors import ConfigurationError, NotAllowedError
from foregate.project import Project

if TYPE_CHECKING:
    from foregate.app.opened import App

CASES = {
    "leads": ("foregate.app.leads", "Leads"),
    "funnel": ("foregate.app.funnel", "Funnel"),
    "prices": ("foregate.app.prices", "Prices"),
}


class Chosen(NamedTuple):
    """A case, opened, and the version that was named, whole or by its first letters."""

    app: App
    version: str | None


def apps_of(folder: Path, actor: str | None = None) -> list[App]:
    """Return every case that the project declares, opened; raises ConfigurationError for a project without one."""
    project = Project(folder)
    found = [name for name in CASES if getattr(project.declared, name) is not None]
    if not found:
        raise ConfigurationError(
            str(project.file),
            found="no case",
            wanted=" or ".join(f"[{name}]" for name in CASES),
            then="Declare one, or run `foregate init`.",
        )
    return [_opened(name, folder, actor) for name in found]


def chosen(folder: Path, actor: str | None = None, target: str | None = None) -> Chosen:
    """Return the case a target means: a case's name, the first letters of a version; without one the only case.

    Raises ConfigurationError when the case is not declared, or nothing says which of several is meant.
    """
    apps = apps_of(folder, actor)
    if target in CASES:
        return Chosen(_named(apps, target), None)
    if len(apps) == 1:
        return Chosen(apps[0], target)
    if target is None:
        raise ConfigurationError(
            "which case",
            found=f"{' and '.join(app.model for app in apps)} in {apps[0].project.file}",
            wanted="one of them",
            then="Name it, as in `foregate status " + apps[0].model + "`.",
        )
    fitting = [app for app in apps if any(v.startswith(target) for v in app.states())]
    if len(fitting) != 1:
        raise NotAllowedError(
            f"version {target}",
            found=f"{len(fitting)} cases that have one",
            wanted=f"{', '.join(app.model for app in apps)}, or a version of one of them",
            then="`foregate status` lists them.",
        )
    return Chosen(fitting[0], target)


def _named(apps: list[App], name: str) -> App:
    for app in apps:
        if app.model == name:
            return app
    raise ConfigurationError(
        f"case {name}",
        found=f"no [{name}] in {apps[0].project.file}",
        wanted=f"one of {', '.join(app.model for app in apps)}",
        then=f"Declare [{name}], or name another case.",
    )


def _opened(name: str, folder: Path, actor: str | None) -> App:
    module, kind = CASES[name]
    found: App = getattr(import_module(module), kind)(folder, actor)
    return found
