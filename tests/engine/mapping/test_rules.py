"""People who join and leave, as mapping rules say: on both platforms, and with every bad input."""

from typing import Any

import pytest

from calendar_sync.core.errors import SyncError
from calendar_sync.core.model import Platform
from calendar_sync.insight.health import build
from calendar_sync.insight.mapping_rules import last_evaluation
from calendar_sync.operations.approvals import grant, waiting
from calendar_sync.operations.mapping.rules import Mode
from calendar_sync.sync.roster import LEFT_RULE
from tests.engine.cycle.stage import mail
from tests.engine.mapping.stage import GROUP, Ruled, changes, codes, state

on_both = pytest.mark.parametrize("platform", list(Platform))
IN_GROUP: dict[str, Any] = {"group": GROUP, "profile": "surgeons"}
AT_ONCE = IN_GROUP | {"apply": True}
BESIDE: dict[str, Any] = {"welkin_role": "physician", "apply": True}


# --- who joins ----------------------------------------------------------------------------------


@on_both
def test_who_is_in_a_group_is_proposed_and_taken_over_with_the_profile(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(IN_GROUP)
    s.group("dana")
    found = s.evaluate()
    assert changes(found, "waiting") == [("add", "dana", "surgeons")]
    assert s.mapped == {}
    assert found.counts == {"waiting": 1}
    assert changes(s.evaluate(Mode.APPLY), "done") == [("add", "dana", "surgeons")]
    assert s.mapped == {"dana": "surgeons"}
    found = s.evaluate()
    assert (found.counts, state(found).people, state(found).rows) == ({}, 1, 1)


@on_both
def test_a_rule_may_add_rows_at_once(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(AT_ONCE)
    s.group("dana", "mira")
    assert changes(s.evaluate(), "done") == [
        ("add", "dana", "surgeons"),
        ("add", "mira", "surgeons"),
    ]
    assert s.mapped == {"dana": "surgeons", "mira": "surgeons"}
    [newest] = s.store.config.mapping_history(newest=1)
    assert newest.author == "mapping rules"


@on_both
def test_a_dry_run_stores_nothing(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(AT_ONCE)
    s.group("dana")
    found = s.evaluate(Mode.DRY_RUN)
    assert changes(found, "done") == [("add", "dana", "surgeons")]
    assert s.mapped == {}
    assert last_evaluation(s.store) is None
    assert s.sandbox.requests.writes() == []


@on_both
def test_groups_in_a_group_count(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(AT_ONCE)
    s.group("dana", email="hands@example.org")
    s.group("hands@example.org", "elsewhere@example.com", GROUP)
    s.evaluate()
    assert s.mapped == {"dana": "surgeons"}


@on_both
def test_a_large_group_is_read_to_its_end(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(AT_ONCE)
    many = [f"user{number}" for number in range(1100)]
    for name in many:
        s.calendar.add_account(mail(name), "Europe/Berlin")
    s.group(*many, "mira")
    s.evaluate()
    assert s.mapped == {"mira": "surgeons"}


def test_everybody_of_a_workspace_may_be_in_a_group() -> None:
    s = Ruled(Platform.GOOGLE)
    s.rules(AT_ONCE)
    s.google.groups.add(GROUP, "*")
    s.evaluate()
    assert s.mapped == dict.fromkeys(("dana", "ruben", "mira"), "surgeons")


def test_a_group_of_microsoft_is_named_by_its_id_too() -> None:
    s = Ruled(Platform.MICROSOFT)
    s.group("dana", email="o'hara@example.org")
    for name in ("o'hara@example.org", s.groups.all["o'hara@example.org"].id.upper()):
        s.rules({"group": name})
        assert changes(s.evaluate(), "waiting") == [("add", "dana", "")]


def test_a_unit_counts_with_all_below_it_and_no_other() -> None:
    s = Ruled(Platform.GOOGLE)
    for name, unit in (("dana", "/Clinic/Hands"), ("ruben", "/Clinics"), ("mira", "/Clinic")):
        s.google.account(mail(name)).org_unit = unit
    s.rules({"org_unit": "/Clinic/", "profile": "surgeons", "apply": True})
    s.evaluate()
    assert s.mapped == {"dana": "surgeons", "mira": "surgeons"}
    assert s.asked("google.directory.members") == 0


@on_both
@pytest.mark.parametrize(
    "condition",
    [{"welkin_role": "Physician"}, {"welkin_policy": "night_shift"}, {"email_domain": "a.example"}],
    ids=lambda one: next(iter(one)),
)
def test_role_policy_and_domain_are_those_in_welkin(
    platform: Platform, condition: dict[str, str]
) -> None:
    s = Ruled(platform)
    dana = s.user("dana")
    dana.roles, dana.policies = ("care-team", "physician"), ("night_shift",)
    dana.email = "Dana@A.example"
    s.calendar.add_account("dana@a.example", "Europe/Berlin")
    s.rules(condition | {"apply": True})
    assert changes(s.evaluate(), "done") == [("add", "dana", "")]
    [row] = s.store.config.mapping()
    assert row.account == "dana@a.example"


@on_both
def test_a_role_in_another_environment_does_not_count(platform: Platform) -> None:
    s = Ruled(platform)
    dana = s.user("dana")
    dana.roles = ("physician",)
    dana.instances = ("sandbox-only",)
    s.rules({"welkin_role": "physician", "apply": True})
    found = s.evaluate()
    assert codes(found) == {"rule 0": "rule_names_nobody"}
    assert s.mapped == {}


# --- doubts -------------------------------------------------------------------------------------


@on_both
def test_never_two_people_on_one_account_and_never_by_name(platform: Platform) -> None:
    s = Ruled(platform)
    s.ids["twin"] = s.welkin.add_user("dana+two@example.org", "Dana").id
    s.ids["namesake"] = s.welkin.add_user("other@example.org", "Mira", "Example").id
    s.edit("namesake", account=mail("ruben"))
    s.rules({"email_domain": "example.org", "apply": True})
    found = s.evaluate()
    assert s.mapped == {"namesake": "", "mira": ""}
    reasons = {one.email: one.reason for one in found.doubts}
    assert reasons.keys() == {"dana@example.org", "dana+two@example.org", "ruben@example.org"}
    assert reasons["dana@example.org"].startswith("ambiguous")
    assert reasons["ruben@example.org"] == f"already mapped to {s.ids['namesake']}"
    assert found.counts == {"add": 1, "doubts": 3}


@on_both
def test_a_suspended_account_is_not_added(platform: Platform) -> None:
    s = Ruled(platform)
    s.calendar.suspend(mail("dana"))
    s.rules(AT_ONCE)
    s.group("dana", "mira")
    found = s.evaluate()
    assert s.mapped == {"mira": "surgeons"}
    [doubt] = found.doubts
    assert (doubt.email, doubt.rule) == (mail("dana"), "rule 0")
    assert doubt.reason in ("suspended", "disabled")


@on_both
def test_who_is_inactive_or_left_out_of_the_list_is_left_alone(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(AT_ONCE)
    s.group("dana", "mira", "ruben")
    s.user("dana").state = "INACTIVE"
    s.evaluate()
    assert s.mapped == {"mira": "surgeons", "ruben": "surgeons"}
    s.group("ruben")
    del s.welkin.users[s.ids["mira"]]
    s.evaluate()
    assert s.mapped == {"mira": "surgeons", "ruben": "surgeons"}


# --- who leaves ---------------------------------------------------------------------------------


@on_both
def test_who_leaves_the_group_is_disabled_and_cleaned_up_after_and_may_return(
    platform: Platform,
) -> None:
    s = Ruled(platform)
    s.rules(AT_ONCE)
    s.group("dana", "mira")
    s.evaluate()
    s.visit("dana")
    s.busy("dana")
    s.run()
    assert (len(s.calendar.mirrors(mail("dana"))), len(s.blocks("dana"))) == (1, 1)
    s.group("mira")
    assert changes(s.evaluate(), "done") == [("disable", "dana", "surgeons")]
    assert s.mapped == {"dana": "-surgeons", "mira": "surgeons"}
    s.later()
    assert (len(s.calendar.mirrors(mail("dana"))), len(s.blocks("dana"))) == (0, 0)
    assert s.evaluate().counts == {}
    s.group("dana", "mira")
    assert changes(s.evaluate(), "done") == [("enable", "dana", "surgeons")]
    s.later()
    assert (len(s.calendar.mirrors(mail("dana"))), len(s.blocks("dana"))) == (1, 1)


@on_both
def test_what_a_person_decides_no_rule_undoes(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(AT_ONCE)
    s.group("dana", "mira")
    s.edit("ruben")
    s.evaluate()
    # Ruben was mapped by hand. Dana is disabled by hand, and Mira gets another profile by hand.
    s.edit("dana", enabled=False)
    s.edit("mira", profile="basic")
    assert s.evaluate().counts == {}
    assert s.mapped == {"dana": "-surgeons", "mira": "basic", "ruben": ""}
    # Dana is mapped anew by hand, and then nobody but Mira has a row of the rule.
    s.unmap("dana")
    s.edit("dana", profile="surgeons")
    s.ids["other"] = s.hire("other")
    s.group("other")
    found = s.evaluate()
    assert changes(found, "done") == [("add", "other", "surgeons"), ("disable", "mira", "basic")]
    assert s.mapped == {"dana": "surgeons", "mira": "-basic", "ruben": "", "other": "surgeons"}


@on_both
def test_rows_that_a_person_accepted_are_the_rules(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(IN_GROUP)
    s.group("dana", "mira")
    s.evaluate(Mode.APPLY)
    s.group("mira")
    s.evaluate()
    assert s.mapped == {"dana": "-surgeons", "mira": "surgeons"}
    # To enable it again needs a person, as a new row does.
    s.group("dana", "mira")
    assert changes(s.evaluate(), "waiting") == [("enable", "dana", "surgeons")]


@on_both
def test_many_who_leave_at_once_wait_for_a_person(platform: Platform) -> None:
    names = [f"user{number}" for number in range(6)]
    s = Ruled(platform, *names)
    s.rules(AT_ONCE)
    s.group(*names)
    s.evaluate()
    s.group(*names[:2])
    found = s.evaluate(Mode.DRY_RUN)
    assert len(found.held) == 4
    assert waiting(s.store) == []
    found = s.evaluate()
    assert changes(found, "held") == [("disable", name, "surgeons") for name in names[2:]]
    assert codes(found) == {"rule 0": "leavers_held"}
    assert set(s.mapped.values()) == {"surgeons"}
    [asked] = waiting(s.store)
    assert asked.reason == LEFT_RULE
    assert asked.question == "Disable 4 people whom no mapping rule names any more?"
    assert grant(s.store, asked.digest, "a person", s.clock.now()) == 4
    s.clock.advance(hours=12)
    found = s.evaluate()
    assert found.counts == {"disable": 4}
    assert sorted(s.mapped.values()) == ["-surgeons"] * 4 + ["surgeons"] * 2


@on_both
def test_what_was_asked_is_withdrawn_when_they_are_back(platform: Platform) -> None:
    names = [f"user{number}" for number in range(6)]
    s = Ruled(platform, *names)
    s.rules(AT_ONCE)
    s.group(*names)
    s.evaluate()
    s.group(*names[:2])
    s.evaluate()
    assert len(waiting(s.store)) == 1
    s.group(*names)
    s.evaluate()
    assert waiting(s.store) == []
    s.group(*names[:2])
    s.evaluate()
    s.rules()
    assert s.evaluate().unruled == 6
    assert waiting(s.store) == []


# --- profiles, order and contradictions ---------------------------------------------------------


@on_both
def test_the_first_rule_decides_and_a_contradiction_is_told_once(platform: Platform) -> None:
    s = Ruled(platform)
    s.group("dana", "mira")
    s.rules(AT_ONCE, {"email_domain": "example.org", "profile": "basic", "apply": True})
    for _ in range(2):
        found = s.evaluate()
        assert s.mapped == {"dana": "surgeons", "mira": "surgeons", "ruben": "basic"}
        [told] = found.contradictions
        assert (told.rule, told.other, told.people) == ("rule 0", "rule 1", 2)
    assert [state(found, name).people for name in ("rule 0", "rule 1")] == [2, 1]


@on_both
def test_rules_that_give_one_profile_do_not_contradict(platform: Platform) -> None:
    s = Ruled(platform)
    s.group("dana")
    s.rules(AT_ONCE, {"email_domain": "example.org", "profile": "surgeons"})
    assert s.evaluate().contradictions == []


@on_both
def test_a_row_follows_its_rule_to_another_profile_and_its_person_to_another_rule(
    platform: Platform,
) -> None:
    s = Ruled(platform)
    s.group("dana", "mira")
    s.rules(AT_ONCE, {"email_domain": "example.org"})
    s.evaluate()
    s.rules(AT_ONCE | {"profile": "basic"}, {"email_domain": "example.org"})
    assert changes(s.evaluate(), "done") == [
        ("change", "dana", "basic"),
        ("change", "mira", "basic"),
    ]
    # Dana is no longer in the group, but the second rule, which only proposes, still names her.
    s.group("mira")
    found = s.evaluate()
    assert ("change", "dana", "") in changes(found, "waiting")
    assert s.mapped == {"dana": "basic", "mira": "basic"}
    s.evaluate(Mode.APPLY)
    assert s.mapped == {"dana": "", "mira": "basic", "ruben": ""}


@on_both
def test_a_renamed_rule_takes_its_rows_along(platform: Platform) -> None:
    s = Ruled(platform)
    s.group("dana", "mira")
    s.rules(AT_ONCE)
    s.evaluate()
    s.rules(AT_ONCE | {"name": "surgeons"})
    found = s.evaluate()
    assert (found.counts, found.unruled, codes(found)) == ({}, 0, {"surgeons": ""})
    s.group("mira")
    s.evaluate()
    assert s.mapped == {"dana": "-surgeons", "mira": "surgeons"}


# --- bad input ----------------------------------------------------------------------------------


@on_both
def test_a_group_that_vanishes_or_empties_disables_nobody(platform: Platform) -> None:
    s = Ruled(platform)
    s.group("dana")
    s.rules(AT_ONCE)
    s.evaluate()
    s.group()
    assert codes(s.evaluate()) == {"rule 0": "rule_names_nobody"}
    s.groups.delete(GROUP)
    found = s.evaluate()
    assert codes(found) == {"rule 0": "group_unknown"}
    assert GROUP in state(found).advice
    assert s.mapped == {"dana": "surgeons"}


def no_scope(s: Ruled) -> None:
    delegation = s.google.delegation
    delegation.authorised_scopes = frozenset(
        scope for scope in delegation.authorised_scopes if "group" not in scope
    )


@pytest.mark.parametrize(
    ("platform", "spoil", "code", "words"),
    [
        (Platform.GOOGLE, no_scope, "google_groups_denied", "group.member.readonly"),
        (
            Platform.MICROSOFT,
            lambda s: s.microsoft.directory.roles.discard("GroupMember.Read.All"),
            "microsoft_groups_denied",
            "GroupMember.Read.All",
        ),
        (
            Platform.GOOGLE,
            lambda s: s.rules({"group": "team@elsewhere.example", "apply": True}, BESIDE),
            "google_groups_denied",
            "of another organisation",
        ),
        (
            Platform.GOOGLE,
            lambda s: s.changes.update(directory_admin=""),
            "google_groups_denied",
            "no directory_admin",
        ),
        (
            Platform.MICROSOFT,
            lambda s: s.fault("microsoft", "status", path="/microsoft/v1.0/groups", code=503,
                              times=None),
            "microsoft_unavailable",
            "",
        ),
    ],
    ids=["scope", "permission", "foreign group", "no administrator", "outage"],
)  # fmt: skip
def test_a_rule_that_cannot_be_evaluated_is_skipped_and_others_go_on(
    platform: Platform, spoil: Any, code: str, words: str
) -> None:
    s = Ruled(platform)
    s.user("ruben").roles = ("physician",)
    s.group("dana", "mira")
    s.rules(AT_ONCE, BESIDE)
    s.evaluate()
    assert s.mapped == {"dana": "surgeons", "mira": "surgeons", "ruben": ""}
    s.group("mira")
    s.user("ruben").roles = ("care-team",)
    s.user("mira").roles = ("physician",)
    spoil(s)
    # Tokens are fetched again.
    s.clock.advance(hours=2)
    found = s.evaluate()
    assert codes(found)["rule 0"] == code
    assert words in state(found).advice
    # Dana left a group that cannot be read; Ruben lost a role that can.
    assert s.mapped["dana"] == "surgeons"
    assert s.mapped["ruben"] == "-"


def test_a_unit_needs_the_directory() -> None:
    s = Ruled(Platform.GOOGLE)
    s.rules({"org_unit": "/Clinic"})
    s.changes = {"directory_admin": ""}
    found = s.evaluate()
    assert codes(found) == {"rule 0": "google_directory_denied"}
    assert "directory_admin" in state(found).advice


def test_without_a_directory_only_those_whom_a_rule_names_are_tried() -> None:
    s = Ruled(Platform.GOOGLE)
    s.changes = {"directory_admin": ""}
    s.user("dana").roles = ("physician",)
    s.rules(BESIDE)
    s.evaluate()
    assert s.mapped == {"dana": ""}
    tried = {entry.user for entry in s.sandbox.requests if entry.kind == "google.events.list"}
    assert tried == {mail("dana")}


def test_a_platform_without_a_connection_concerns_only_its_rules() -> None:
    s = Ruled(Platform.GOOGLE)
    s.without = {Platform.MICROSOFT}
    s.group("dana")
    s.rules(AT_ONCE, {"name": "other", "platform": "microsoft", "email_domain": "example.org"})
    found = s.evaluate()
    assert codes(found) == {"rule 0": "", "other": "no_connection_configured"}
    assert s.mapped == {"dana": "surgeons"}


@on_both
def test_an_evaluation_that_fails_is_told(platform: Platform) -> None:
    s = Ruled(platform)
    s.rules(AT_ONCE)
    s.fault("welkin", "status", path="users", code=403, times=None)
    with pytest.raises(SyncError):
        s.evaluate()
    items = build(s.store, s.store.config.revision(), s.clock.now()).document["items"]
    assert [(one["kind"], one["code"]) for one in items] == [("rule", "rules_not_evaluated")]


@on_both
def test_a_change_meanwhile_is_not_overwritten(platform: Platform) -> None:
    s = Ruled(platform)
    s.group("dana", "mira")
    s.rules(AT_ONCE)
    done: list[str] = []

    def meanwhile() -> None:
        last = s.sandbox.requests[-1].kind
        if last in ("google.directory.members", "microsoft.groups.members") and not done:
            done.append(last)
            s.edit("dana", profile="basic")
            s.edit("ruben", account=mail("mira"))

    s.transport.after_request = meanwhile
    found = s.evaluate()
    assert done
    assert found.counts == {}
    assert s.mapped == {"dana": "basic", "ruben": ""}


# --- where it is told ---------------------------------------------------------------------------


@on_both
def test_the_report_says_what_is_left_to_people(platform: Platform) -> None:
    s = Ruled(platform)
    s.group("dana", "mira")
    s.rules(
        IN_GROUP,
        {"email_domain": "example.org", "profile": "basic", "apply": True},
        {"group": "nobody@example.org"},
    )
    s.evaluate()
    document = build(s.store, s.store.config.revision(), s.clock.now()).document
    found = [(one["account"], one["code"]) for one in document["items"] if one["kind"] == "rule"]
    assert found == [
        ("rule rule 2", "group_unknown"),
        ("rule rule 0", "rules_contradict"),
        ("rule rule 0", "rule_proposals"),
    ]
    assert document["mapping_rules"]["counts"] == {"add": 1, "waiting": 2}
    assert document["mapping_rules"]["in_words"] == "1 added; 2 proposals"
    s.rules()
    s.evaluate()
    document = build(s.store, s.store.config.revision(), s.clock.now()).document
    assert (document["items"], document["mapping_rules"]) == ([], None)


@on_both
def test_proposals_are_of_whom_rules_name_with_their_profile(platform: Platform) -> None:
    s = Ruled(platform)
    s.group("dana")
    s.rules(IN_GROUP, {"group": "nobody@example.org"})
    found, told = s.propose()
    [offered] = found.all
    assert (offered.account, offered.profile, offered.rule) == (mail("dana"), "surgeons", "rule 0")
    assert offered.row.profile == "surgeons"
    assert any("rule 1 is skipped" in said for said in told)
    assert any(said.endswith("names them: 2 users") for said in told)
    s.rules()
    assert {one.account for one in s.propose()[0].all} == {mail(name) for name in s.ids}
