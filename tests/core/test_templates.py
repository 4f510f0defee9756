"""Which stored faces count, and the faults that a gallery shows."""

from __future__ import annotations

import numpy as np

from agent.core.gallery import build_gallery
from agent.core.templates import MAX_OTHERS, NAMED_MAX, renewed, without_usable
from agent.events import GalleryBuilt, Member, MemberErased, MemberSaved, Template
from tests.core.station_play import ENGINE, Play, face_of, member, ready

OTHER = ("sface", "1" * 64)


def of_other(name: str, person: int) -> Member:
    return Member(name, (Template(*OTHER, face_of(person)),))


def fault_texts(play: Play, code: str) -> list[str]:
    return [each.text.en for (found, _), each in play.state.faults.items() if found == code]


def test_a_new_template_takes_the_place_of_its_own_engines_only() -> None:
    old, other = Template(*ENGINE, face_of(1)), Template(*OTHER, face_of(2))
    new = Template(*ENGINE, face_of(3))
    kept = renewed(Member("m-1", (old, other)), new)
    assert [each.vector is new.vector for each in kept] == [False, True]
    assert kept == (other, new)
    assert renewed(None, new) == (new,)


def test_new_weights_of_one_engine_are_another_template() -> None:
    new = Template(ENGINE[0], "2" * 64, face_of(3))
    assert len(renewed(member("m-1", 1), new)) == 2


def test_templates_of_former_engines_do_not_pile_up() -> None:
    known = Member("m-1")
    for n in range(20):
        template = Template("dlib", f"{n:064}", face_of(1))
        known = Member("m-1", renewed(known, template))
        assert known.templates[-1] is template
    assert len(known.templates) == MAX_OTHERS + 1


def test_members_of_another_engine_and_unusable_ones_are_named_and_others_not() -> None:
    broken = Member("m-4", (Template(*ENGINE, np.full(128, np.nan, np.float32)),))
    members = [member("m-1", 1), of_other("m-3", 3), Member("m-2"), broken]
    people = [(each.id, t.vector) for each in members for t in each.templates if (t.engine, t.weights) == ENGINE]
    gallery = build_gallery(people, engine=ENGINE[0], weights=ENGINE[1])
    assert without_usable(members, gallery) == ("m-3", "m-4")  # m-2 never had a face here


def test_who_must_enrol_again_is_a_fault_until_they_have() -> None:
    play = ready(member("m-1", 1), of_other("m-2", 2), of_other("m-3", 3))
    (text,) = fault_texts(play, "template.refused")
    assert "m-2, m-3" in text
    assert "m-1" not in text
    for name, person in (("m-2", 2), ("m-3", 3)):
        saved = Member(name, renewed(play.state.members[name], Template(*ENGINE, face_of(person))))
        play.put(MemberSaved(play.now, saved, "r-1"))
        play.build_gallery()
    assert fault_texts(play, "template.refused") == []
    assert [each["code"] for each in play.logged("fault.cleared")] == ["template.refused"]


def test_a_fault_that_names_others_now_is_reworded_and_not_raised_again() -> None:
    play = ready(of_other("m-2", 2), of_other("m-3", 3))
    since = [each.since for each in play.state.faults.values()]
    play.ask("members.erase", id="m-2")
    play.put(MemberErased(play.now, "m-2", "r-1", existed=True))
    play.build_gallery()
    (text,) = fault_texts(play, "template.refused")
    assert "m-2" not in text
    assert [each.since for each in play.state.faults.values()] == since
    assert play.logged("fault.raised") == []


def test_a_fault_about_many_stays_short() -> None:
    play = ready(*[of_other(f"m-{n:04}", n % 100) for n in range(500)])
    (text,) = fault_texts(play, "template.refused")
    assert f"(+{500 - NAMED_MAX})" in text
    assert len(text) < 300


def test_a_gallery_too_large_is_a_fault_that_proposes_a_code_until_it_fits() -> None:
    play = ready(member("m-1", 1))
    crowd = [(f"c-{n}", face_of(n)) for n in range(2)]
    large = build_gallery(crowd, engine=ENGINE[0], weights=ENGINE[1], target_fpir=1e-7)
    assert large.is_too_large
    play.put(GalleryBuilt(play.now, play.state.gallery_request, large))
    (text,) = fault_texts(play, "gallery.too_large")
    assert "2 > " in text
    assert "station members confirm" in play.state.faults["gallery.too_large", "gallery"].remedy.en
    play.put(MemberErased(play.now, "m-9", "r-1", existed=True))
    play.build_gallery()
    assert play.state.faults == {}
