"""The documents beside the code: links lead somewhere, named tests and targets are there, each alert is explained."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.support.chart import rendered
from tests.support.checkout import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
SECURITY, TROUBLE = DOCS / "security.md", DOCS / "troubleshooting.md"
RULES = ROOT / "docker" / "chart" / "rules" / "medserve.yaml"
TELLERS = (
    "queueing/metrics.py", "server/health.py", "gateway/metrics.py", "gateway/drift/metrics.py",
    "gateway/access/middleware.py",
)  # fmt: skip
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


@cache
def _prose(page: Path) -> str:
    """Without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```", "", page.read_text("utf-8"))


def _blocks(page: Path) -> Iterator[str]:
    for block in re.findall(r"(?ms)^```bash\n(.*?)^```", page.read_text("utf-8")):
        yield from block.replace("\\\n", " ").splitlines()


@cache
def _anchors(page: Path) -> frozenset[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"(?m)^#+ +(.+?) *$", _prose(page))
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower() for title in titles)
    return frozenset(re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain)


def _links() -> list:
    return [
        pytest.param(page, target, id=f"{page.relative_to(ROOT)}:{target}")
        for page in PAGES
        for target in dict.fromkeys(re.findall(r"\]\(([^)\s]+)\)", _prose(page)))
        if not re.match(r"[a-z]+:", target)
    ]


@pytest.mark.parametrize(("page", "target"), _links())
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists()
    assert not anchor or anchor in _anchors(file), sorted(_anchors(file))


@cache
def _tests(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(
    ("file", "name"), sorted({found for page in PAGES for found in NAMED.findall(page.read_text("utf-8"))})
)
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    path = ROOT / "tests" / file
    assert path.is_file()
    assert name in _tests(path)
    assert name.startswith("test_")


def test_each_threat_and_each_hazard_has_a_test_or_says_that_it_has_none() -> None:
    rows = 0
    for section in re.split(r"(?m)^##+ ", SECURITY.read_text("utf-8")):
        lines = [line for line in section.splitlines() if line.startswith("| ")]
        titles = [cell.strip() for cell in lines[0].split("|")] if lines else []
        if "test" not in titles:
            continue
        for line in lines[1:]:
            cell = line.split("|")[titles.index("test")].strip()
            assert cell.startswith("none") or len(NAMED.findall(cell)) == cell.count("::") > 0, line
            assert ("not closed" in line) == cell.startswith("none"), line
            rows += 1
    assert rows > 40


@pytest.mark.parametrize(
    "line",
    sorted({line for page in PAGES for line in _blocks(page) if re.search(r"\bmake [a-z]|python3? -m \w", line)}),
)
def test_what_is_to_be_typed_is_there(line: str) -> None:
    for target in re.findall(r"\bmake ([a-z]+)", line):
        assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text("utf-8"))
    for module in re.findall(r"python3? -m ([\w.]+)", line):
        assert find_spec(module)


def _alerts() -> dict[str, dict[str, str]]:
    """Name → annotations."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule}


def test_each_alert_is_explained_and_nothing_else() -> None:
    explained = re.findall(r"(?m)^### (MedServe\w+)$", TROUBLE.read_text("utf-8"))
    assert sorted(explained) == sorted(_alerts())


@pytest.mark.parametrize("name", _alerts())
def test_an_alerts_runbook_is_there(name: str) -> None:
    page, _, anchor = _alerts()[name]["runbook_url"].rpartition("#")
    assert (ROOT / page[page.index("docs/") :]) in PAGES
    assert anchor in _anchors(ROOT / page[page.index("docs/") :])


def _values() -> list:
    blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```", (DOCS / "deployment.md").read_text("utf-8"))
    return [pytest.param(block, id=block.splitlines()[0].split(":")[0] + f"-{n}") for n, block in enumerate(blocks)]


@pytest.mark.parametrize("block", _values())
def test_values_that_are_shown_are_the_charts(block: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(block, "utf-8")
    kinds = {document["kind"] for document in rendered(file)}
    assert kinds & {"Deployment", "InferenceService"}
    said = yaml.safe_load(block)
    assert {"ScaledObject", "ServiceMonitor"} <= kinds or "autoscaling" not in said
    assert "InferenceService" in kinds or "kserve" not in said


def test_values_with_a_typo_would_be_found(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("clases: {}\n", "utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        rendered(file)


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            name
            for page in PAGES
            for name in re.findall(r"(?<!urn:)\bmedserve[_:][a-z][a-z_:0-9]+", page.read_text("utf-8"))
        }
    ),
)
def test_a_metric_that_is_named_is_told(name: str) -> None:
    told = [RULES, *(ROOT / file for file in TELLERS)]
    assert any(name.removesuffix("_total") in file.read_text("utf-8") for file in told)
