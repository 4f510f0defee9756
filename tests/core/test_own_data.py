"""A person's own data holds nothing of anybody else."""

from __future__ import annotations

from agent.core.own_data import ANOTHER, PARTS, redacted
from agent.storage.queries import QUERIES


def test_other_members_ids_are_taken_out_however_deep_they_stand() -> None:
    body = '{"member":"m-1","look_alikes":["m-2","m-9"],"deep":{"list":[{"id":"m-2"}]},"inside":2}'
    (row,) = redacted([{"sequence": 7, "body": body}], "m-1", {"m-1", "m-2"})
    assert row["sequence"] == 7
    assert row["body"] == {
        "member": "m-1",
        "look_alikes": [ANOTHER, "m-9"],
        "deep": {"list": [{"id": ANOTHER}]},
        "inside": 2,
    }


def test_every_part_is_a_query_about_one_person() -> None:
    for query, pages in PARTS.values():
        defaults = QUERIES[query].defaults
        assert defaults["id"] is ...
        assert set(pages) <= set(defaults)
