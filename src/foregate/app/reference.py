"""The reference pages of this program, rendered from its gates, its settings and its verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foregate.cases.funnel.lifecycle import PHASES as FUNNEL_PHASES
from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.funnel.settings import Stage as FunnelStage
from foregate.cases.leads.lifecycle import PHASES
from foregate.cases.leads.list_settings import ListSettings
from foregate.cases.leads.matrix import Backfill, Disagreement, MatrixSettings
from foregate.cases.leads.settings import (
    ContactColumn,
    Dates,
    LeadsSettings,
    Maturity,
    Owners,
    Population,
    Selection,
)
from foregate.cases.leads.tiers import Exclusion, Facts, Standard, Tier
from foregate.cases.prices.lifecycle import PHASES as PRICES_PHASES
from foregate.cases.prices.settings import Exogenous, PricesSettings, Series
from foregate.core.rollout import Plan
from foregate.lifecycle.alerts import AlertSettings, RuleSettings, SinkSettings, rules_of
from foregate.lifecycle.crossings import DOES
from foregate.lifecycle.crossings import gates as rollout_gates
from foregate.lifecycle.forecast_crossings import DOES as FORECAST_DOES
from foregate.lifecycle.forecast_crossings import crossing_gates
from foregate.lifecycle.plan import RolloutSettings, StepSettings
from foregate.lifecycle.walk import POLICY
from foregate.modeling.boosted import TreeSettings
from foregate.project import Connection, Declared, FeatureSettings
from foregate.report.reference import alerts_page, commands_page, gates_page, settings_page
from foregate.warehouse.sources import Column, Source

if TYPE_CHECKING:
    from pydantic import BaseModel

PROJECT_HEAD = """# The project file

`foregate.toml` at the root of a project, checked key by key; an unknown key is an error that names it. Paths are
relative to the file. `${NAME}` in an address is read from the environment, so secrets stay out of the file. Beside it
stand `features/*.sql` ([features](features.md)) and `tiers.toml` ([lists](lists.md)).
"""
COMMANDS_HEAD = """# Commands

Data goes to stdout, everything else to stderr; `--json` prints data only. Exit codes: 0 fine, 1 a gate did not pass or
the step is not allowed, 2 usage or configuration, 3 warnings under `--strict`, 4 a system outside is down. Without a
terminal there is no colour and no prompt. Before any verb: `foregate -C FOLDER` chooses the project, `--actor NAME` who
acts.
"""
_TABLES: list[tuple[str, type[BaseModel]]] = [
    ("(top)", Declared),
    ("[warehouse] and [ledger]", Connection),
    ("[sources.NAME]", Source),
    ("[sources.NAME.columns] NAME", Column),
    ("[features.NAME]", FeatureSettings),
    ("[leads]", LeadsSettings),
    ("[leads.columns] NAME", ContactColumn),
    ("[leads.dates]", Dates),
    ("[leads.maturity]", Maturity),
    ("[leads.selection]", Selection),
    ("[leads.model]", TreeSettings),
    ("[leads.population]", Population),
    ("[leads.owners]", Owners),
    ("[leads.matrix]", MatrixSettings),
    ("[leads.matrix.disagreement]", Disagreement),
    ("[leads.matrix.backfill]", Backfill),
    ("[leads.list]", ListSettings),
    ("[funnel]", FunnelSettings),
    ("[funnel.stages.NAME]", FunnelStage),
    ("[prices]", PricesSettings),
    ("[prices.series.NAME]", Series),
    ("[prices.exogenous.NAME]", Exogenous),
    ("[rollout], [funnel.rollout], [prices.rollout]", RolloutSettings),
    ("[[rollout.step]]", StepSettings),
    ("[alerts], [funnel.alerts], [prices.alerts]", AlertSettings),
    ("[[alerts.rule]]", RuleSettings),
    ("[[alerts.sink]]", SinkSettings),
    ("tiers.toml [[tier]]", Tier),
    ("tiers.toml [[exclusion]]", Exclusion),
    ("tiers.toml [standard]", Standard),
    ("tiers.toml [facts]", Facts),
]


def pages(command: Any) -> dict[str, str]:
    """Return the reference pages by file name; `command` is the program's root click command."""
    gates = {name: (module.DOES, module.GATES) for name, module in PHASES.items()}
    first = next(iter(gates))
    gates[first] = (gates[first][0], (*gates[first][1], POLICY))
    gates |= {f"funnel: {name}": (module.DOES, module.GATES) for name, module in FUNNEL_PHASES.items()}
    gates |= {f"prices: {name}": (module.DOES, module.GATES) for name, module in PRICES_PHASES.items()}
    gates |= {f"rollout: {name}": (DOES[name], asked) for name, asked in rollout_gates(Plan()).items()}
    own = crossing_gates(Plan())
    gates |= {f"rollout of a forecast: {name}": (does, own[name]) for name, does in FORECAST_DOES.items()}
    tables = [(name, _about(model), model.model_json_schema()) for name, model in _TABLES]
    return {
        "gates.md": gates_page(gates),
        "project.md": settings_page(PROJECT_HEAD, tables),
        "alerts.md": alerts_page(
            {name: rules_of(AlertSettings(rules=name)) for name in ("shipped", "seeds")}
            | {case: rules_of(AlertSettings(), model=case) for case in ("funnel", "prices")}
            | {"prices, seeds": rules_of(AlertSettings(rules="seeds"), model="prices")}
        ),
        "commands.md": commands_page(COMMANDS_HEAD, _verbs(command, "foregate")),
    }


def _about(model: type[BaseModel]) -> str:
    return "\n".join(line.strip() for line in (model.__doc__ or "").splitlines())


def _verbs(command: Any, path: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    found = []
    for name, verb in command.commands.items():
        if hasattr(verb, "commands"):
            found += _verbs(verb, f"{path} {name}")
            continue
        arguments = [p for p in verb.params if p.param_type_name == "argument"]
        words = [a.name.upper() if a.required else f"[{a.name.upper()}]" for a in arguments]
        options = [(", ".join(p.opts), p.help or "") for p in verb.params if p.param_type_name == "option"]
        found.append((" ".join([path, name, *words]), verb.help or "", options))
    return found
