"""Drift as Markdown for people and tickets, and as HTML with pictures."""

from __future__ import annotations

from pathlib import Path

import jinja2

import gateway.drift.plots as plots
from gateway.drift.state import Figure, Model, Share, State

TEMPLATE = Path(__file__).with_name("report.html.j2")
_HEADER = "| figure | of | answers | KS | drift from | PSI | drift from | score |\n|---|---|--:|--:|--:|--:|--:|--:|"
_SHARES = "| label | sensitivity | specificity |\n|---|---|---|"


def markdown(state: State, source: str) -> str:
    """Tables: for each model what is far, and what radiologists said."""
    lines = ["# Drift", "", f"{_plain(source)}, {state.at}. Windows of at most {state.length} answers.", ""]
    lines += ["| model | answers | reference | alert |", "|---|--:|---|---|"]
    for name, model in state.models.items():
        reference = "none" if model.reference is None else f"{_plain(model.reference)} ({model.items})"
        lines.append(f"| {_plain(name)} | {model.window} | {reference} | {'**yes**' if model.alert else 'no'} |")
    for name, model in state.models.items():
        lines += ["", f"## {_plain(name)}", "", *_model(model)]
    return "\n".join(lines) + "\n"


def html(state: State, source: str) -> str:
    """The same with pictures, in one file that needs nothing else."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"share": share, "number": number}
    sections = [
        {
            "name": name,
            "model": model,
            "figures": plots.figures(model),
            "history": plots.history(model),
            "performance": plots.performance(model.performance) if model.performance else "",
        }
        for name, model in state.models.items()
    ]
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(state=state, source=source, sections=sections)


def number(value: float | None) -> str:
    """With two digits, or a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def share(found: Share) -> str:
    """With its interval and its cases."""
    if found.value is None or found.low is None or found.high is None:
        return "no case"
    return f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%}; {found.right} of {found.of})"


def _model(model: Model) -> list[str]:
    lines = [f"- **drift**: {_plain(sentence)}" for sentence in model.reasons]
    lines += [f"- {_plain(sentence)}" for sentence in model.notes]
    lines += ["", _HEADER, *(_row(figure) for figure in model.figures)] if model.figures else []
    if model.performance is None:
        return [*lines, "", "No radiologist's label yet."]
    found = model.performance
    lines += ["", f"Radiologists labelled {found.count} of the last answers: {share(found.accuracy)} right.", ""]
    lines += [_SHARES] + [
        f"| {_plain(label)} | {share(found.sensitivity[label])} | {share(found.specificity[label])} |"
        for label in found.sensitivity
    ]
    return lines


def _row(figure: Figure) -> str:
    numbers = (figure.ks, figure.ks_chance, figure.psi, figure.psi_chance, figure.score)
    return f"| {_plain(figure.name)} | {figure.kind} | {figure.count} | {' | '.join(map(number, numbers))} |"


def _plain(text: str) -> str:
    """No table, link, tag or line of its own."""
    escaped = "".join(f"\\{sign}" if sign in "|<>[]*_`#\\" else sign for sign in text)
    return " ".join(escaped.split())
