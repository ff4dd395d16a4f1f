"""A report as one file of HTML: data, pictures, styles and scripts are in it, and it reads nothing from the network.

Texts of users' files go through Jinja's escaping; data are JSON in which no tag can begin. The policy of the page lets
no script run but those whose hashes it names.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compiler.reports.diagram import Picture, difference
from compiler.reports.svg import svg_of
from compiler.util.version import package_version

from .model import Phase, Report, Run
from .words import FILTERS

SCRIPTS = ("vendor/d3.min.js", "vendor/plot.min.js", "templates/report.js")
STYLE = "templates/report.css"
_PHASE = {"space": {"pictures", "blocks"}, "derived": True, "runner_up": True}
_RUN = {"phases": {"__all__": _PHASE}, "derived": True, "settings": True, "command": True, "machine": True}


def page(report: Report) -> str:
    """The report as HTML."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            pictures=_pictures(report),
            differences=_differences(report),
            sections=sections,
            data=Markup(_data(report)),
            style=Markup(_read(STYLE)),
            scripts=[Markup(_read(name)) for name in SCRIPTS],
            version=package_version(),
        )
    )


def sections(run: Run) -> list[tuple[str, str]]:
    """The sections that a run has, by the names of their places, with their headings."""
    there = {
        ("overview", "Overview"): True,
        ("space", "Space"): any(phase.space for phase in run.phases),
        ("search", "Search"): any(phase.epochs or phase.trials for phase in run.phases),
        ("found", "Derived"): run.derived is not None,
        ("costs", "Costs"): run.derived is not None and run.derived.network is not None,
        ("training", "Training"): run.training is not None,
        ("versus", "Beside chance"): run.versus is not None,
    }
    return [section for section, shown in there.items() if shown]


def _pictures(report: Report) -> Mapping[tuple[int | str, ...], Markup]:
    """The pictures of each run: of the space of each phase, and of what was derived."""
    found: dict[tuple[int | str, ...], Markup] = {}
    for r, run in enumerate(report.runs):
        for p, phase in enumerate(run.phases):
            if phase.space is not None:
                found[r, "space", p] = Markup(svg_of(phase.space.name, phase.space.pictures, f"r{r}p{p}"))
            beside = _beside_the_runner_up(phase)
            if beside is not None:
                found[r, "runner-up", p] = Markup(svg_of("What was derived, and the runner-up", beside, f"r{r}u{p}"))
        if run.derived is not None and run.derived.network is not None:
            network = run.derived.network
            found[r, "derived"] = Markup(svg_of(network.name, network.pictures, f"r{r}d"))
    return found


def _beside_the_runner_up(phase: Phase) -> list[Picture] | None:
    """What a phase derived over the runner-up, where both are drawn."""
    first, second = phase.derived, phase.runner_up.derived if phase.runner_up else None
    if first is None or second is None or first.network is None or second.network is None:
        return None
    return difference(first.network.pictures, second.network.pictures)


def _differences(report: Report) -> list[Markup | None]:
    """The picture of each pair of architectures, where both are drawn."""
    networks = {run.name: run.derived.network for run in report.runs if run.derived is not None}
    found: list[Markup | None] = []
    for number, beside in enumerate(report.together.architectures if report.together else ()):
        left, right = networks.get(beside.left), networks.get(beside.right)
        drawn = None if left is None or right is None else difference(left.pictures, right.pictures)
        found.append(
            None if drawn is None else Markup(svg_of(f"{beside.left} and {beside.right}", drawn, f"b{number}"))
        )
    return found


def _data(report: Report) -> str:
    """What the plots are drawn from, as JSON in which neither a tag nor a comment can begin or end."""
    exclude: Any = {"together": True, "runs": {"__all__": _RUN}}
    data = report.model_dump(mode="json", exclude=exclude)
    for run, entry in zip(report.runs, data["runs"], strict=True):
        network = None if run.derived is None else run.derived.network
        blocks = () if network is None else network.blocks
        entry["derived"] = {"blocks": [block.model_dump() for block in blocks]}
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def csp_hash(script: str) -> str:
    """A script in the policy of the page."""
    return f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("compiler.run_report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= FILTERS | {"csp_hash": lambda script: Markup(csp_hash(script))}
    return made


@cache
def _read(name: str) -> str:
    return (files("compiler.run_report") / name).read_text(encoding="utf-8")
