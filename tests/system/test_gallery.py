"""The gallery of a running agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.control.client import ControlError
from agent.demo.portraits import find_portraits
from tests.system.stations import eventually, running, write_settings


def test_the_gallery_of_a_running_agent_is_audited_and_asked_for(tmp_path: Path) -> None:
    with running(write_settings(tmp_path, {"vision": {"enabled": True}}), find_portraits()) as station:

        def is_audited() -> bool:
            try:
                report.update(station.client.request("faces.audit", strangers_a_day=30.0))
            except ControlError as error:
                return error.problems[0].code != "vision.stopped"  # until its networks are loaded
            return True

        report: dict[str, Any] = {}
        eventually(is_audited, "the gallery is audited", 60)
        assert (report["members"], report["strangers_a_day"]) == (0, 30.0)
        assert report["words"][0]["en"] == "Nobody is enrolled, so no face opens the door."
        with pytest.raises(ControlError) as refused:
            station.client.request("access.present_code", member_id="m-9")
        assert refused.value.problems[0].code == "member.unknown"
