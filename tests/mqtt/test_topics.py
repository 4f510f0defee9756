from __future__ import annotations

import pytest

from agent.mqtt.topics import Topics


def test_topics_are_those_of_the_contract() -> None:
    topics = Topics("stations", "demo-1")
    assert topics.status == "stations/demo-1/status"
    assert topics.about == "stations/demo-1/about"
    assert topics.log == "stations/demo-1/log"
    assert topics.readings == "stations/demo-1/readings"
    assert topics.commands == "stations/demo-1/commands"
    assert topics.replies == "stations/demo-1/replies"
    assert topics.state("door") == "stations/demo-1/state/door"
    assert topics.state("appliances/微波炉") == "stations/demo-1/state/appliances/微波炉"


def test_a_prefix_may_have_levels_and_another_script() -> None:
    assert Topics("x" * 128, "-a").log.startswith("x")  # as far as the settings go
    assert Topics("某省/stations", "a").status == "某省/stations/a/status"


@pytest.mark.parametrize("station", ["", "a/b", "+", "#", "a b", ".a", "驿站", "a\n", "a\x00", "x" * 65, "$SYS"])
def test_a_bad_station_is_refused_where_it_is_made(station: str) -> None:
    with pytest.raises(ValueError, match="station"):
        Topics("stations", station)


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a/+", "#", "$SYS", "a b", "a\x07", "x" * 129])
def test_a_bad_prefix_is_refused_where_it_is_made(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Topics(prefix, "a")


@pytest.mark.parametrize("part", ["", "/", "door/", "a/b/c", "a/+", "#", "a/b c", "a/\x7f", "a/" + "x" * 65])
def test_a_bad_part_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="part"):
        Topics("stations", "a").state(part)
