"""What the two brain tumour models with stages share: figures, rules, limits."""

from __future__ import annotations

from report.rules import Grade, Rules

STAGING_FIGURES = ("stage", "survival_risk")
STAGING_RULES = Rules(
    grades=(Grade(figure="stage", names=("I", "II", "III", "IV"), bounds=(0.25, 0.5, 0.75)),),
    not_applicable=(("Healthy", STAGING_FIGURES),),
)
STAGING_LIMITS = (
    "The source project does not say how its sigmoid becomes a stage: four equal ranges are assumed.",
    "Stage and survival risk were not validated by anybody known to us.",
)
