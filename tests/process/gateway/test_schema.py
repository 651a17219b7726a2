"""Generated requests to a real gateway: no 5xx, and nothing that the OpenAPI document does not describe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.support.checkout import ROOT
from tests.support.gateway_process import Running

TAKE_BODIES = 6  # operations, at least: the others soon have no other request
MODELS = ("solubility", "chest_xray", "chest-xray", "brain_fusion", "no_such_model", "drug-properties")
FILM = (ROOT / "examples" / "phantom.png").read_bytes()
MOLECULES = ("CCO", "c1ccccc1", "not a molecule", "")


def _tried(operation, url: str, statuses: Counter[int]) -> Callable[[], None]:
    """One operation: what its strategy makes, sometimes with what a model takes in the place of noise."""

    def one(data: strategies.DataObject) -> None:
        case: Case = data.draw(operation.as_strategy())
        if "model" in (case.path_parameters or {}):  # else it would be 404 and nothing besides
            case.path_parameters["model"] = data.draw(strategies.sampled_from(MODELS))
        if isinstance(case.body, dict) and data.draw(strategies.booleans()):
            if "file" in case.body:
                case.body["file"] = [FILM] if isinstance(case.body["file"], list) else FILM
            elif "items" in case.body:
                case.body["items"] = [data.draw(strategies.sampled_from(MOLECULES))]
            else:
                case.body["smiles"] = data.draw(strategies.sampled_from(MOLECULES))
        response = case.call(base_url=url)
        statuses[response.status_code] += 1
        case.validate_response(response, excluded_checks=[positive_data_acceptance])  # no schema says what a film is

    return one


@pytest.mark.parametrize("cases", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_no_request_breaks_it_or_the_document(shared_gateway: Running, cases: int) -> None:
    schema = schemathesis.openapi.from_url(f"{shared_gateway.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 11
    statuses = Counter[int]()
    settings = hypothesis.settings(
        max_examples=cases // TAKE_BODIES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    failures = []
    for operation in operations:
        one = settings(hypothesis.given(data=strategies.data())(_tried(operation, shared_gateway.url, statuses)))
        try:
            one()
        except Exception as exc:
            failures.append(f"{operation.label}: {exc}\n{''.join(getattr(exc, '__notes__', []))}")
    print(statuses)
    assert not failures, "\n\n".join(failures)
    assert sum(statuses.values()) >= cases
    assert not [status for status in statuses if status >= 500]
    assert statuses[200] > cases / 20  # answered, too, not only refused
