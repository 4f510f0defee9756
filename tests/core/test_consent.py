"""Who may consent to what, and what is recorded of it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.consent import ConsentRules, ConsentText, given
from agent.core.problems import Problem
from agent.events import Consent

RULES = ConsentRules("v-2", {"zh": ConsentText("同意。", "a" * 64)}, valid_days=100)
CLAIMED = {"version": "v-2", "language": "zh", "how": "paper"}


def test_a_consent_says_what_was_shown_how_it_was_given_and_who_says_so() -> None:
    assert given(CLAIMED, RULES, "alice") == Consent(
        version="v-2",
        language="zh",
        text_sha256="a" * 64,
        purpose="door_entry",
        how="paper",
        recorded_by="alice",
        valid_days=100,
    )


@pytest.mark.parametrize(
    ("claimed", "code"),
    [
        (None, "consent.missing"),
        ({}, "consent.missing"),
        ({**CLAIMED, "version": "v-1"}, "consent.other_version"),
        ({**CLAIMED, "language": "en"}, "consent.no_text"),
        ({**CLAIMED, "is_under_age": True}, "consent.guardian_missing"),
    ],
)
def test_what_is_no_consent_is_refused_with_the_reason(claimed: dict[str, Any] | None, code: str) -> None:
    found = given(claimed, RULES, "alice")
    assert isinstance(found, Problem)
    assert found.code == code


def test_a_guardian_consents_for_somebody_under_age_and_may_for_others() -> None:
    for is_under_age in (True, False):
        found = given({**CLAIMED, "is_under_age": is_under_age, "guardian": "mother"}, RULES, "alice")
        assert isinstance(found, Consent)
        assert (found.is_under_age, found.guardian) == (is_under_age, "mother")
