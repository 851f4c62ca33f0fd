"""Anything that fits the description of the interface, and much that does not: never a fault, never a stack trace."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fixtures.studio import Server


@pytest.fixture(scope="module")
def described(studio: Server) -> Any:
    return schemathesis.openapi.from_url(f"{studio.address}/api/v1/openapi.json")


interface = schemathesis.pytest.from_fixture("described")


@interface.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: schemathesis.Case) -> None:
    answer = case.call_and_validate(
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
        timeout=60,
    )
    assert "Traceback" not in answer.text and 'File "' not in answer.text
