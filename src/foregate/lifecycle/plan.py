"""`[rollout]` of foregate.toml: by which steps a version reaches full traffic, and what it must show on the way."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from foregate.core.rollout import Plan, Step


class StepSettings(BaseModel):
    """One step: the challenger's share of people (0 is shadow: it scores and serves nobody), for at least `days`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(ge=0, lt=1)
    days: int = Field(default=0, ge=0)


class RolloutSettings(BaseModel):
    """The rollout plan; without steps a version that passed its gates is moved to full traffic at once.

    `criterion`: "better" must be able to see a ratio of `detect` between the two versions' rates, "not_worse" accepts
    at most `margin` less than the champion's rate; both at `power` and `alpha`. `min_leads`: matured leads of each
    version before the verdict counts. `bake_days`: days of full traffic before the rollout is complete and its version
    becomes one to roll back to. `cooldown_days`: quiet between two rollouts. `evidence_days`: how old a version's
    judgement may be when its rollout starts. `retention_days`: since when a version must be out of service before
    `foregate sunset`. `signatures`: names needed before anything moves; they are bound to the version and this plan.
    `author_signs`: whether who ran the version may be one of them. `bake_signatures`: names needed after the release.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: tuple[StepSettings, ...] = ()
    criterion: Literal["better", "not_worse"] = "not_worse"
    margin: float = Field(default=0.2, gt=0, lt=1)
    detect: float = Field(default=1.25, gt=1)
    power: float = Field(default=0.8, gt=0.5, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    min_leads: int = Field(default=0, ge=0)
    bake_days: int = Field(default=0, ge=0)
    cooldown_days: int = Field(default=0, ge=0)
    evidence_days: int = Field(default=90, ge=1)
    retention_days: int = Field(default=90, ge=0)
    signatures: int = Field(default=0, ge=0)
    bake_signatures: int = Field(default=0, ge=0)
    author_signs: bool = True

    @model_validator(mode="after")
    def _shares_rise(self) -> Self:
        shares = [step.share for step in self.step]
        if shares != sorted(set(shares)):
            raise ValueError("wanted shares of [[rollout.step]] that rise, each once")
        return self

    def plan(self) -> Plan:
        """Return the plan as the ledger keeps it."""
        steps = tuple(Step(step.share, step.days) for step in self.step)
        return Plan(steps, **self.model_dump(exclude={"step"}))


class ForecastRollout(RolloutSettings):
    """The rollout plan of a forecast: every key of [rollout]; without steps of its own a shadow of 28 days.

    A forecast has nobody to split: steps have share 0.
    """

    step: tuple[StepSettings, ...] = (StepSettings(share=0.0, days=28),)

    @model_validator(mode="after")
    def _nobody_is_split(self) -> Self:
        if any(step.share for step in self.step):
            raise ValueError("a forecast has nobody to split: say steps of share 0, its shadow, or step = []")
        return self
