"""Verdicts of the authorization rules, clause by clause.

A verdict is the number of the clause in room version 12 that rejects the event, "v1 …" for a clause that only older
versions have, or null where the event is allowed. `verdicts` gives it by ranges of versions.
"""
from .signing import base64_unpadded, public_key, signed_json

ALICE, BOB, CAROL, MALLORY = "@alice:one.test", "@bob:two.test", "@carol:one.test", "@mallory:three.test"
NAMED = ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"]


def event(kind, sender, content=None, state_key=None, **more):
    value = {"type": kind, "sender": sender, "content": {} if content is None else content, **more}
    if state_key is not None:
        value["state_key"] = state_key
    return value


def state(kind, sender, content=None, state_key="", **more):
    return event(kind, sender, content, state_key, **more)


def member(membership, target, by=None, **content):
    return state("m.room.member", by or target, {"membership": membership, **content}, target)


def levels(content, by=ALICE):
    return state("m.room.power_levels", by, content)


def join_rule(rule, **more):
    return state("m.room.join_rules", ALICE, {"join_rule": rule, **more})


# `creator` and `room_version` are put in by whoever reads the vectors, as each version has them.
CREATE = state("m.room.create", ALICE, {})
PUBLIC = [CREATE, member("join", ALICE), levels({"users": {BOB: 50}}), join_rule("public")]


def room(*changes, base=PUBLIC):
    """The state with these events in it, each in the place of the one with its type and state key."""
    places = {(part["type"], part["state_key"]): part for part in base}
    for change in changes:
        places[change["type"], change["state_key"]] = change
    return list(places.values())


def without(kind, *changes):
    return [part for part in room(*changes) if part["type"] != kind]


class Rules:
    def __init__(self):
        self.cases = []

    def case(self, says, given, what, verdicts):
        """`verdicts` is a clause or None for all versions, or a list of (first version, clause)."""
        if not isinstance(verdicts, list):
            verdicts = [(1, verdicts)]
        ranges = {}
        for index, (first, clause) in enumerate(verdicts):
            last = verdicts[index + 1][0] - 1 if index + 1 < len(verdicts) else 12
            ranges[f"{first}-{last}"] = clause
        self.cases.append({"says": says, "verdicts": ranges, "state": given, "event": what})


def create_rules(rules):
    def create(says, verdicts, content=None, **more):
        rules.case(says, [], {**state("m.room.create", ALICE, content or {}), **more}, verdicts)

    create("a create event is allowed", None)
    create("1.1 a create event that follows another is rejected", "1.1", prev_events=["$other"])
    create("1.2 the room is named after the sender's server, and not at all from version 12",
           [(1, None), (12, "1.2")], room_id="!room:one.test")
    create("1.2 the room is not named after another server", "1.2", room_id="!room:two.test")
    for value in ["99", 12, None]:
        create(f"1.3 room version {value!r} is not known", "1.3", {"room_version": value})
    create("v1 1.4 the creator is named up to version 10", [(1, "v1 1.4"), (11, None)], {"creator": "$none"})
    for value in [BOB, {}, None, [7], [None], ["bob"], ["@bob"], [BOB, "bob"], ["@" + "b" * 300 + ":two.test"]]:
        create(f"1.4 additional creators {str(value)[:24]} are not users", [(1, None), (12, "1.4")],
               {"additional_creators": value})
    for value in [[], [BOB], [BOB, CAROL]]:
        create("1.4 additional creators are users", None, {"additional_creators": value})


def general_rules(rules):
    case = rules.case
    message, topic = "m.room.message", "m.room.topic"
    joined = room(member("join", BOB), member("join", CAROL))
    case("2 an event of another room is rejected", joined, event(message, BOB, room_id="!elsewhere:one.test"), "2")

    closed = room(state("m.room.create", ALICE, {"m.federate": False}), member("join", BOB), member("join", CAROL))
    case("4 a room that is not federated is closed to others' servers", closed, event(message, BOB), "4")
    case("4 nor may they join it", closed, member("join", MALLORY), "4")
    case("4 a room that is not federated is open to its own server", closed, event(message, CAROL), None)
    for value in [True, None, 0, "false"]:
        case(f"4 m.federate {value!r} is not false", room(state("m.room.create", ALICE, {"m.federate": value}),
             member("join", BOB)), event(message, BOB), None)

    case("v1 4 aliases belong to a server up to version 5", PUBLIC, state("m.room.aliases", BOB, {}, "two.test"),
         [(1, None), (6, "6")])
    case("v1 4.2 and to that one only", joined, state("m.room.aliases", BOB, {}, "one.test"),
         [(1, "v1 4.2"), (6, None)])
    case("v1 4.1 aliases without a state key", joined, event("m.room.aliases", BOB), [(1, "v1 4.1"), (6, None)])
    case("4 comes before the rule about aliases", closed, state("m.room.aliases", BOB, {}, "two.test"), "4")

    case("6 who is joined may speak", joined, event(message, BOB), None)
    case("6 who never was in the room may not", PUBLIC, event(message, BOB), "6")
    for membership in ["invite", "leave", "ban", "knock"]:
        case(f"6 {membership} is not join", room(member(membership, BOB, ALICE)), event(message, BOB), "6")
    case("6 a membership that nobody knows is not join", room(member("wave", BOB)), event(message, BOB), "6")

    inviting = room(member("join", BOB), member("join", CAROL), levels({"users": {BOB: 10}, "invite": 10}))
    token = lambda sender: state("m.room.third_party_invite", sender, {}, "token")  # noqa: E731
    case("7.1 a third-party invite needs the invite level", inviting, token(CAROL), "7.1")
    case("7.1 and not that of state", inviting, token(BOB), None)
    case("7.1 even if its type has a level", room(member("join", BOB), levels(
        {"users": {BOB: 10}, "events": {"m.room.third_party_invite": 100}})), token(BOB), None)
    case("7.1 not even the state key counts", room(member("join", BOB)),
         state("m.room.third_party_invite", BOB, {}, ALICE), None)

    speaking = lambda content, what, verdict, says: case(  # noqa: E731
        says, room(member("join", BOB), member("join", CAROL), levels(content)), what, verdict)
    speaking({"users": {BOB: 49}}, state(topic, BOB), "8", "8 state needs 50")
    speaking({"users": {BOB: 50}}, state(topic, BOB), None, "8 state needs 50")
    speaking({}, event(message, BOB), None, "8 other events need 0")
    speaking({"users_default": -1}, event(message, BOB), "8", "8 other events need 0")
    speaking({"users_default": 50}, state(topic, BOB), None, "8 users_default is for who has no level")
    speaking({"users_default": 50, "users": {BOB: 49}}, state(topic, BOB), "8", "8 who has a level has that")
    speaking({"state_default": 10, "users": {BOB: 10}}, state(topic, BOB), None, "8 state_default")
    speaking({"state_default": 10, "users": {BOB: 9}}, state(topic, BOB), "8", "8 state_default")
    speaking({"events_default": 10, "users": {BOB: 9}}, event(message, BOB), "8", "8 events_default")
    speaking({"events_default": 10, "users": {BOB: 10}}, event(message, BOB), None, "8 events_default")
    speaking({"events": {topic: 10}, "users": {BOB: 10}}, state(topic, BOB), None, "8 the type's own level")
    speaking({"events": {topic: 60}, "users": {BOB: 50}}, state(topic, BOB), "8", "8 the type's own level")
    speaking({"events": {message: 60}, "users": {BOB: 50}}, event(message, BOB), "8", "8 the type's own level")
    none = without("m.room.power_levels", member("join", BOB))
    case("8 without power levels the creator has 100", none, state(topic, ALICE), None)
    case("8 without power levels others have 0, and state needs 50", none, state(topic, BOB), "8")
    case("8 without power levels all may speak", none, event(message, BOB), None)
    creators = room(state("m.room.create", ALICE, {"additional_creators": [BOB]}), member("join", BOB),
                    levels({"users_default": -5, "events": {topic: 9_000}}))
    case("8 creators are above all levels from version 12", creators, state(topic, BOB), [(1, "8"), (12, None)])
    case("8 so is the sender of the create event", creators, state(topic, ALICE), [(1, "8"), (12, None)])
    # Levels that are written otherwise.
    for text, first_bad in [("50", 10), ("+50", 10), (" 0050\t", 10), ("5_0", 1), ("50.0", 1), ("", 1), ("0x32", 1)]:
        verdicts = "8" if first_bad == 1 else [(1, None), (first_bad, "8")]
        speaking({"users": {BOB: text}}, state(topic, BOB), verdicts, f"8 the level {text!r}")
    for number, before_six in [(50.9, None), (49.9, "8"), (50.5, None), (-0.5, "8"), (1e30, None)]:
        speaking({"users": {BOB: number}}, state(topic, BOB), [(1, before_six), (6, "8")], f"8 the level {number}")
    speaking({"users": {BOB: "99999999999999999999"}}, state(topic, BOB), [(1, None), (10, "8")],
             "8 a level beyond all integers")
    speaking({"users": {BOB: None}}, state(topic, BOB), "8", "8 a level that is none")
    speaking({"users": {BOB: True}}, state(topic, BOB), "8", "8 a level that is none")

    free = room(member("join", BOB), levels({"state_default": 0}))
    case("9 a state key that names the sender", free, state("org.example.status", BOB, {}, BOB), None)
    case("9 a state key that names another", free, state("org.example.status", BOB, {}, ALICE), "9")
    case("9 not even for who has all power", free, state("org.example.status", ALICE, {}, BOB), "9")
    case("9 any state key with an @", free, state("org.example.status", BOB, {}, "@"), "9")
    case("9 other state keys are free", free, state("org.example.status", BOB, {}, BOB[1:]), None)

    def redaction(sender, of, verdict, content=None, **more):
        what = event("m.room.redaction", sender, {"redacts": of}, event_id="$r:two.test", redacts=of, **more)
        case("v1 11 redactions need power or the same server in versions 1 and 2",
             room(member("join", BOB), levels(content or {})), what, verdict)

    redaction(BOB, "$x:one.test", [(1, "v1 11.3"), (3, None)])
    redaction(BOB, "$x:two.test", None)
    redaction(BOB, "$x", [(1, "v1 11.3"), (3, None)])
    redaction(BOB, "$x:one.test", [(1, "v1 11.3"), (3, None)], {"users": {BOB: 49}})
    redaction(BOB, "$x:one.test", None, {"users": {BOB: 50}})
    redaction(BOB, "$x:one.test", None, {"users": {BOB: 10}, "redact": 10})
    redaction(BOB, "$x:two.test", "8", {"events": {"m.room.redaction": 10}})


def member_rules(rules):
    case = rules.case
    case("5.1 a membership without a state key", PUBLIC, event("m.room.member", BOB, {"membership": "join"}), "5.1")
    case("5.1 a membership without a membership", PUBLIC, state("m.room.member", BOB, {}, BOB), "5.1")
    case("5.1 a membership that is no text", PUBLIC, state("m.room.member", BOB, {"membership": 1}, BOB), "5.1")
    case("5.1 a state key that is no user", PUBLIC, state("m.room.member", ALICE, {"membership": "ban"}, "bob"), "5.1")
    case("5.8 a membership that nobody knows", PUBLIC, member("wave", BOB), "5.8")
    signed = {"signatures": {"one.test": {"ed25519:1": "checked on receipt"}}}
    via = "join_authorised_via_users_server"
    for membership, target, by in [("join", BOB, BOB), ("leave", ALICE, ALICE), ("invite", BOB, ALICE)]:
        what = member(membership, target, by, **{via: CAROL})
        case("5.2 the authorizing user's server has signed", PUBLIC, {**what, **signed}, None)
        case("5.2 the authorizing user's server has not signed", PUBLIC, what, [(1, None), (8, "5.2")])
        case("5.2 another server has", PUBLIC, {**what, "signatures": {"two.test": {"ed25519:1": ""}}},
             [(1, None), (8, "5.2")])
    case("5.2 a server's signatures without one", PUBLIC, {**member("join", BOB, **{via: CAROL}),
         "signatures": {"one.test": {}}}, [(1, None), (8, "5.2")])
    for value in ["carol", 7, None]:
        case(f"5.2 the authorizing user is {value!r}", PUBLIC, {**member("join", BOB, **{via: value}), **signed},
             [(1, None), (8, "5.2")])

    # Joins.
    alone = [CREATE]
    first = lambda target, by=None: {**member("join", target, by), "prev_events": ["$create"]}  # noqa: E731
    case("5.3.1 the creator's first join", alone, first(ALICE), None)
    case("5.3.1 is the creator's only", alone, first(BOB), "5.3.7")
    case("5.3.1 and comes right after the create event", alone, {**first(ALICE), "prev_events": ["$other"]}, "5.3.7")
    case("5.3.1 and after nothing else", alone, {**first(ALICE), "prev_events": ["$create", "$other"]}, "5.3.7")
    case("5.3.1 and after something", alone, {**first(ALICE), "prev_events": []}, "5.3.7")
    other = [state("m.room.create", ALICE, {"creator": CAROL})]
    case("5.3.1 up to version 10 content says who the creator is", other, first(CAROL), [(1, None), (11, "5.3.7")])
    case("5.3.1 from version 11 the sender is", other, first(ALICE), [(1, "5.3.7"), (11, None)])
    more = [state("m.room.create", ALICE, {"additional_creators": [BOB]})]
    case("5.3.1 additional creators do not join so", more, first(BOB), "5.3.7")
    case("5.3.2 nobody joins another", PUBLIC, member("join", BOB, ALICE), "5.3.2")
    case("5.3.2 even with an invite", room(member("invite", BOB, ALICE)), member("join", BOB, ALICE), "5.3.2")
    case("5.3.3 the banned do not join", room(member("ban", BOB, ALICE)), member("join", BOB), "5.3.3")

    ways = {
        "public": {None: [(1, None)], "invite": [(1, None)], "join": [(1, None)], "leave": [(1, None)],
                   "knock": [(1, None)]},
        "invite": {None: [(1, "5.3.7")], "invite": [(1, None)], "join": [(1, None)], "leave": [(1, "5.3.7")],
                   "knock": [(1, "5.3.7")]},
        "knock": {None: [(1, "5.3.7")], "invite": [(1, "5.3.7"), (7, None)], "join": [(1, "5.3.7"), (7, None)],
                  "leave": [(1, "5.3.7")], "knock": [(1, "5.3.7")]},
        "restricted": {None: [(1, "5.3.7"), (8, "5.3.5.2")], "invite": [(1, "5.3.7"), (8, None)],
                       "join": [(1, "5.3.7"), (8, None)], "leave": [(1, "5.3.7"), (8, "5.3.5.2")],
                       "knock": [(1, "5.3.7"), (8, "5.3.5.2")]},
        "knock_restricted": {None: [(1, "5.3.7"), (10, "5.3.5.2")], "invite": [(1, "5.3.7"), (10, None)],
                             "join": [(1, "5.3.7"), (10, None)], "leave": [(1, "5.3.7"), (10, "5.3.5.2")],
                             "knock": [(1, "5.3.7"), (10, "5.3.5.2")]},
        "private": {None: [(1, "5.3.7")], "invite": [(1, "5.3.7")], "join": [(1, "5.3.7")]},
        "org.example": {"invite": [(1, "5.3.7")], "join": [(1, "5.3.7")]},
    }
    clauses = {"public": "5.3.6", "invite": "5.3.4", "knock": "5.3.4"}
    for rule, memberships in ways.items():
        for membership, verdicts in memberships.items():
            was = [] if membership is None else [member(membership, BOB, ALICE)]
            clause = clauses.get(rule, "5.3.5" if "restricted" in rule else "5.3.7")
            case(f"{clause} {rule}, {membership or 'nothing'} before", room(join_rule(rule), *was),
                 member("join", BOB), verdicts)
    no_rules = [part for part in PUBLIC if part["type"] != "m.room.join_rules"]
    for given, says in [(no_rules, "without join rules"),
                        (room(state("m.room.join_rules", ALICE, {})), "whose join rules say nothing")]:
        case(f"5.3.4 a room {says} is for the invited", room(base=given), member("join", BOB), "5.3.7")
        case(f"5.3.4 a room {says} is for the invited", room(member("invite", BOB, ALICE), base=given),
             member("join", BOB), None)
    case("5.3.7 a join rule that is no text", room(state("m.room.join_rules", ALICE, {"join_rule": 7}),
         member("invite", BOB, ALICE)), member("join", BOB), "5.3.4")

    for rule, since in [("restricted", 8), ("knock_restricted", 10)]:
        def restricted(says, verdict, *changes, who=CAROL, rule=rule, since=since):
            what = {**member("join", BOB, **{via: who}), "signatures": {"one.test": {"ed25519:1": ""}}}
            verdicts = verdict if verdict == "5.3.3" else [(1, "5.3.7"), (since, verdict)]
            case(f"5.3.5.2 {rule}: {says}", room(join_rule(rule), *changes), what, verdicts)

        restricted("a member who may invite lets in", None, member("join", CAROL))
        restricted("one who has left does not", "5.3.5.2", member("leave", CAROL))
        restricted("one who is invited does not", "5.3.5.2", member("invite", CAROL, ALICE))
        restricted("one who never came does not", "5.3.5.2")
        restricted("one below the invite level does not", "5.3.5.2", member("join", CAROL), levels({"invite": 1}))
        restricted("one at the invite level does", None, member("join", CAROL),
                   levels({"invite": 1, "users": {CAROL: 1}}))
        restricted("who is banned stays out", "5.3.3", member("join", CAROL), member("ban", BOB, ALICE))

    # Invites.
    joined = [member("join", BOB), member("join", CAROL)]
    case("5.4.4 members invite", room(*joined), member("invite", MALLORY, BOB), None)
    for membership in [None, "leave", "invite", "ban", "knock"]:
        was = [] if membership is None else [member(membership, CAROL, ALICE)]
        case("5.4.2 who is not joined does not invite", room(*was), member("invite", MALLORY, CAROL), "5.4.2")
    case("5.4.3 nobody invites who is joined", room(*joined), member("invite", CAROL, BOB), "5.4.3")
    case("5.4.3 nor who is banned", room(*joined, member("ban", MALLORY, ALICE)), member("invite", MALLORY, BOB), "5.4.3")
    for membership in ["invite", "leave", "knock"]:
        case(f"5.4.3 who has {membership} may be", room(*joined, member(membership, MALLORY, ALICE)),
             member("invite", MALLORY, BOB), None)
    case("5.4.5 who is below the invite level does not", room(*joined, levels({"invite": 1})),
         member("invite", MALLORY, BOB), "5.4.5")
    case("5.4.4 who is at it does", room(*joined, levels({"invite": 1, "users": {BOB: 1}})),
         member("invite", MALLORY, BOB), None)
    case("5.4.4 without power levels all do", without("m.room.power_levels", *joined),
         member("invite", MALLORY, BOB), None)
    third_party_rules(rules)

    # Leaving and kicking.
    for membership, verdict in [(None, "5.5.1"), ("leave", "5.5.1"), ("ban", "5.5.1"), ("join", None), ("invite", None),
                                ("knock", [(1, "5.5.1"), (7, None)])]:
        was = [] if membership is None else [member(membership, BOB, ALICE)]
        case(f"5.5.1 leaving after {membership or 'nothing'}", room(*was), member("leave", BOB), verdict)
    power = levels({"users": {BOB: 50, CAROL: 49}})
    for membership in [None, "leave", "invite", "ban", "knock"]:
        was = [] if membership is None else [member(membership, BOB, ALICE)]
        case("5.5.2 who is not joined does not kick", room(power, member("join", MALLORY), *was),
             member("leave", MALLORY, BOB), "5.5.2")
    case("5.5.4 kicking needs 50", room(power, *joined), member("leave", CAROL, BOB), None)
    case("5.5.4 the invited are kicked too", room(power, member("join", BOB), member("invite", CAROL, ALICE)),
         member("leave", CAROL, BOB), None)
    case("5.5.5 kicking needs 50", room(levels({"users": {BOB: 49}}), *joined), member("leave", CAROL, BOB), "5.5.5")
    case("5.5.5 the kick level", room(levels({"users": {BOB: 50}, "kick": 51}), *joined), member("leave", CAROL, BOB),
         "5.5.5")
    case("5.5.4 the kick level", room(levels({"users": {BOB: 5}, "kick": 5}), *joined), member("leave", CAROL, BOB), None)
    case("5.5.5 nobody kicks an equal", room(levels({"users": {BOB: 50, CAROL: 50}}), *joined),
         member("leave", CAROL, BOB), "5.5.5")
    case("5.5.5 nor who is above", room(levels({"users": {BOB: 50, CAROL: 51}}), *joined), member("leave", CAROL, BOB),
         "5.5.5")
    banned = [member("join", BOB), member("ban", CAROL, ALICE)]
    case("5.5.3 lifting a ban needs 50", room(levels({"users": {BOB: 50}}), *banned), member("leave", CAROL, BOB), None)
    case("5.5.3 the ban level", room(levels({"users": {BOB: 50}, "ban": 51}), *banned), member("leave", CAROL, BOB),
         "5.5.3")
    case("5.5.3 the ban level", room(levels({"users": {BOB: 50}, "ban": 50}), *banned), member("leave", CAROL, BOB), None)
    case("5.5.5 and the kick level", room(levels({"users": {BOB: 50}, "kick": 51}), *banned),
         member("leave", CAROL, BOB), "5.5.5")
    case("5.5.3 the ban level is for the banned", room(levels({"users": {BOB: 50}, "ban": 51}), *joined),
         member("leave", CAROL, BOB), None)
    creators = state("m.room.create", ALICE, {"additional_creators": [BOB]})
    hundred = levels({"users": {ALICE: 100, CAROL: 100, BOB: 0}})
    case("5.5.4 a creator kicks everybody else", room(creators, hundred, *joined), member("leave", CAROL, BOB),
         [(1, "5.5.5"), (12, None)])
    case("5.5.5 no creator kicks another", room(creators, hundred, *joined), member("leave", BOB, ALICE),
         [(1, None), (12, "5.5.5")])

    # Banning.
    for membership in [None, "leave", "invite", "ban", "knock"]:
        was = [] if membership is None else [member(membership, BOB, ALICE)]
        case("5.6.1 who is not joined does not ban", room(power, *was), member("ban", MALLORY, BOB), "5.6.1")
    for membership in [None, "leave", "invite", "ban", "knock", "join"]:
        was = [] if membership is None else [member(membership, CAROL, ALICE)]
        case("5.6.2 banning needs 50", room(power, member("join", BOB), *was), member("ban", CAROL, BOB), None)
    case("5.6.3 banning needs 50", room(levels({"users": {BOB: 49}}), *joined), member("ban", CAROL, BOB), "5.6.3")
    case("5.6.3 the ban level", room(levels({"users": {BOB: 50}, "ban": 51}), *joined), member("ban", CAROL, BOB),
         "5.6.3")
    case("5.6.2 the ban level", room(levels({"users": {BOB: 5}, "ban": 5}), *joined), member("ban", CAROL, BOB), None)
    case("5.6.3 nobody bans an equal", room(levels({"users": {BOB: 50, CAROL: 50}}), *joined),
         member("ban", CAROL, BOB), "5.6.3")
    case("5.6.3 nor themselves", room(power, *joined), member("ban", BOB), "5.6.3")
    case("5.6.3 no creator bans another", room(creators, hundred, *joined), member("ban", ALICE, BOB), "5.6.3")

    # Knocking.
    for rule, verdicts in [("knock", [(1, "5.8"), (7, None)]), ("knock_restricted", [(1, "5.8"), (7, "5.7.1"), (10, None)]),
                           ("public", [(1, "5.8"), (7, "5.7.1")]), ("invite", [(1, "5.8"), (7, "5.7.1")]),
                           ("restricted", [(1, "5.8"), (7, "5.7.1")]), ("private", [(1, "5.8"), (7, "5.7.1")])]:
        case(f"5.7.1 knocking on {rule}", room(join_rule(rule)), member("knock", BOB), verdicts)
    case("5.7.1 knocking where no rule is", without("m.room.join_rules"), member("knock", BOB), [(1, "5.8"), (7, "5.7.1")])
    case("5.7.2 nobody knocks for another", room(join_rule("knock")), member("knock", BOB, ALICE),
         [(1, "5.8"), (7, "5.7.2")])
    for membership, verdict in [("leave", None), ("knock", None), ("ban", "5.7.4"), ("invite", "5.7.4"), ("join", "5.7.4")]:
        case(f"5.7.3 knocking after {membership}", room(join_rule("knock"), member(membership, BOB, ALICE)),
             member("knock", BOB), [(1, "5.8"), (7, verdict)])


def third_party_rules(rules):
    seed, other = bytes([7] * 32), bytes([8] * 32)
    key, wrong = base64_unpadded(public_key(seed)), base64_unpadded(public_key(other))

    def signed(user=BOB, token="token"):
        return signed_json({"mxid": user, "token": token}, "identity.test", "ed25519:1", seed)

    def invite(says, verdict, part, by=ALICE, keys=None, changes=()):
        given = room(state("m.room.third_party_invite", ALICE, {"public_key": key} if keys is None else keys, "token"),
                     join_rule("invite"), member("join", CAROL), *changes)
        what = member("invite", BOB, by, third_party_invite=part)
        rules.case(f"{says}", given, what, verdict)

    invite("5.4.1.7 a key of the invite has signed", None, {"signed": signed()})
    invite("5.4.1.7 one of its keys has signed", None, {"signed": signed()},
           keys={"public_key": wrong, "public_keys": [{"public_key": wrong}, {"public_key": key}]})
    invite("5.4.1.7 the sender need not be in the room", None, {"signed": signed()}, changes=[member("leave", ALICE)])
    invite("5.4.1.7 nor have power", None, {"signed": signed()}, changes=[levels({"invite": 100, "users": {ALICE: 0}})])
    invite("5.4.1.1 the banned are not invited", "5.4.1.1", {"signed": signed()}, changes=[member("ban", BOB, ALICE)])
    invite("5.4.1.2 nothing is signed", "5.4.1.2", {"display_name": "bob"})
    invite("5.4.1.2 it is no object", "5.4.1.2", "x")
    for missing in ["mxid", "token"]:
        part = signed()
        del part[missing]
        invite(f"5.4.1.3 without {missing}", "5.4.1.3", {"signed": part})
    invite("5.4.1.4 it is for another", "5.4.1.4", {"signed": signed(CAROL)})
    invite("5.4.1.5 the room has no such token", "5.4.1.5", {"signed": signed(token="other")})
    invite("5.4.1.6 another has sent the invite", "5.4.1.6", {"signed": signed()}, by=CAROL)
    invite("5.4.1.8 another key has signed", "5.4.1.8", {"signed": signed()}, keys={"public_key": wrong})
    invite("5.4.1.8 the invite has no key", "5.4.1.8", {"signed": signed()}, keys={})
    invite("5.4.1.8 the signature is of something else", "5.4.1.8", {"signed": {**signed(), "more": 1}})
    invite("5.4.1.8 there is no signature", "5.4.1.8", {"signed": {"mxid": BOB, "token": "token"}})


def power_level_rules(rules):
    def change(says, verdict, before, after, by=BOB, create=None, users=True):
        """Bob has 50 and changes the levels from `before` to `after`."""
        def full(content):
            if not users:
                return content
            return {**content, "users": {BOB: 50, **content.get("users", {})}}
        given = room(*([state("m.room.create", ALICE, create)] if create else []), member("join", BOB),
                     levels(full(before)))
        rules.case(says, given, levels(full(after), by), verdict)

    change("10.11 changing nothing", None, {"ban": 60}, {"ban": 60})
    for key in NAMED:
        for value in ["7", None, True, [], {}]:
            # Before version 10 what a level of a text or of nothing is worth is read where it counts.
            early = None if value == "7" else "10.6"
            change(f"10.1 {key} is {value!r}", [(1, early), (10, "10.1")], {}, {key: value})
        change(f"10.1 {key} is a fraction", [(1, None), (6, "10.6"), (10, "10.1")], {}, {key: 7.5})
        change(f"10.6.2 {key} added above the sender", "10.6.2", {}, {key: 51})
        change(f"10.6 {key} added", None, {}, {key: 50})
        if key != "state_default":
            change(f"10.6.1 {key} above the sender lowered", "10.6.1", {key: 51}, {key: 50})
            change(f"10.6.1 {key} above the sender removed", "10.6.1", {key: 51}, {})
            change(f"10.6 {key} above the sender kept", None, {key: 51}, {key: 51, "events": {"x": 1}})
        change(f"10.6 {key} lowered", None, {key: 50}, {key: 49})
        change(f"10.6 {key} removed", None, {key: 50}, {})
        change(f"10.6.2 {key} raised above the sender", "10.6.2", {key: 50}, {key: 51})
    change("10.6 the same level written otherwise", [(1, None), (10, "10.1")], {"ban": 60}, {"ban": "060"})

    for key in ["events", "notifications"]:
        guarded = 1 if key == "events" else 6
        early = (lambda clause: clause) if guarded == 1 else (lambda clause: [(1, None), (6, clause)])  # noqa: E731
        for value in [["x"], 7, None]:
            later = [(1, "10.8"), (10, "10.2")] if guarded == 1 else [(1, None), (6, "10.8"), (10, "10.2")]
            change(f"10.2 {key} is {value!r}", later, {}, {key: value})
        change(f"10.2 {key} holds a text", [(1, None), (10, "10.2")], {}, {key: {"x": "7"}})
        change(f"10.2 {key} holds nothing", [(1, "10.8"), (10, "10.2")] if guarded == 1
               else [(1, None), (6, "10.8"), (10, "10.2")], {}, {key: {"x": None}})
        change(f"10.7.1 {key} above the sender lowered", early("10.7.1"), {key: {"x": 51}}, {key: {"x": 50}})
        change(f"10.7.1 {key} above the sender removed", early("10.7.1"), {key: {"x": 51}}, {key: {}})
        change(f"10.7.1 {key} removed whole", early("10.7.1"), {key: {"x": 51}}, {})
        change(f"10.7 {key} above the sender kept", None, {key: {"x": 51}}, {key: {"x": 51, "y": 1}})
        change(f"10.7 {key} lowered", None, {key: {"x": 50}}, {key: {"x": 49}})
        change(f"10.7 {key} removed", None, {key: {"x": 50}}, {})
        change(f"10.8.1 {key} raised above the sender", early("10.8.1"), {key: {"x": 50}}, {key: {"x": 51}})
        change(f"10.8.1 {key} added above the sender", early("10.8.1"), {}, {key: {"x": 51}})
        change(f"10.8 {key} added", None, {}, {key: {"x": 50}})

    for value in [7, [BOB], None]:
        change(f"10.3 users is {value!r}", "10.3", {"users": {BOB: 50}}, {"users": value}, users=False)
    change("10.3 no users", None, {"users": {BOB: 50}}, {}, users=False)
    for name in ["bob", "", "@bob", "#bob:two.test", "@" + "b" * 300 + ":two.test"]:
        change(f"10.3 users names {name[:16]!r}", "10.3", {}, {"users": {name: 1}})
    change("10.3 users holds a text", [(1, None), (10, "10.3")], {}, {"users": {CAROL: " +7 "}})
    change("10.3 users holds a fraction", [(1, None), (6, "10.3")], {}, {"users": {CAROL: 7.9}})
    for value in ["x", "7.0", None, True, {}]:
        change(f"10.3 users holds {value!r}", "10.3", {}, {"users": {CAROL: value}})
    # Version 12 alone lets no creator be named.
    change("10.4 the creator is named", [(1, "10.10.1"), (12, "10.4")], {}, {"users": {ALICE: 51}})
    change("10.4 by the creator", [(1, None), (12, "10.4")], {"users": {ALICE: 100}}, {"users": {ALICE: 100}}, by=ALICE)
    change("10.4 an additional creator is named", [(1, None), (12, "10.4")], {}, {"users": {CAROL: 1}},
           create={"additional_creators": [CAROL]})
    empty = without("m.room.power_levels")
    rules.case("10.5 the first levels may be any", empty, levels({"ban": 9_000, "users": {BOB: 9_000}}), None)
    rules.case("10.5 the first levels are checked for their form", empty, levels({"users": {"bob": 1}}), "10.3")
    rules.case("10.5 the first levels are checked for their form", empty, levels({"ban": "x"}), [(1, None), (10, "10.1")])

    change("10.9.1 an equal's level lowered", "10.9.1", {"users": {CAROL: 50}}, {"users": {CAROL: 49}})
    change("10.9.1 an equal's level removed", "10.9.1", {"users": {CAROL: 50}}, {})
    change("10.9.1 a level above lowered", "10.9.1", {"users": {CAROL: 51}}, {"users": {CAROL: 49}})
    change("10.9 a level above kept", None, {"users": {CAROL: 51}}, {"users": {CAROL: 51, MALLORY: 1}})
    change("10.9 a level below lowered", None, {"users": {CAROL: 49}}, {"users": {CAROL: 1}})
    change("10.9 a level below removed", None, {"users": {CAROL: 49}}, {})
    change("10.9 a level below raised to the sender's", None, {"users": {CAROL: 49}}, {"users": {CAROL: 50}})
    change("10.9 the sender's own lowered", None, {}, {"users": {BOB: 49}})
    change("10.9 the sender's own removed", None, {"users": {BOB: 50}}, {"users": {}}, users=False)
    change("10.10.1 the sender's own raised", "10.10.1", {}, {"users": {BOB: 51}})
    change("10.10.1 another raised above the sender", "10.10.1", {"users": {CAROL: 1}}, {"users": {CAROL: 51}})
    change("10.10.1 another added above the sender", "10.10.1", {}, {"users": {CAROL: 51}})
    change("10.10 another added at the sender's level", None, {}, {"users": {CAROL: 50}})
    change("10.10 a creator of version 12 gives any level", [(1, "10.10.1"), (12, None)], {"state_default": 0},
           {"state_default": 0, "users": {CAROL: 2**53 - 1}}, by=ALICE)


def rules():
    collected = Rules()
    for part in [create_rules, general_rules, member_rules, power_level_rules]:
        part(collected)
    return {
        "source": "Fedchat, script/room-vectors, from Matrix specification v1.19 content/rooms/v1.md to v12.md",
        "note": "verdicts by room version: null is allowed, else the rejecting clause by version 12's numbers, or 'v1 …' "
                "for one of older versions. Into the create event the reader puts room_version where there is none, and "
                "up to version 10 creator (the sender) where there is none; '$none' stands for no creator. Events are "
                "of the room unless they have a room_id, and follow '$last' unless they have prev_events; the create "
                "event's id is '$create'.",
        "cases": collected.cases,
    }


def auth_events():
    """The rule about auth_events: 3 in version 12, 2 before."""
    base = {
        "create": CREATE, "alice": member("join", ALICE), "alice2": member("join", ALICE), "levels": levels({}),
        "join_rules": join_rule("public"), "bob": member("invite", BOB, ALICE), "carol": member("join", CAROL),
        "topic": state("m.room.topic", ALICE), "message": event("m.room.message", ALICE),
        "token": state("m.room.third_party_invite", ALICE, {}, "token"),
        "foreign": {**levels({}), "room_id": "!elsewhere:one.test"}, "rejected": {**levels({}), "rejected": True},
    }
    cases = []

    def case(says, what, auth, verdict, create=True):
        """From version 12 the create event is not among the auth events: `create` puts it in before."""
        for first, last, ids in [(1, 11, (["create"] if create else []) + auth), (12, 12, auth)]:
            verdicts = verdict if isinstance(verdict, list) else [(1, verdict)]
            clause = [clause for since, clause in verdicts if since <= first][-1]
            used = {name: base[name] for name in ids if name in base}
            for since, later in verdicts:
                if first < since <= last:
                    cases.append({"says": says, "verdicts": {f"{first}-{since - 1}": clause, f"{since}-{last}": later},
                                  "events": used, "auth_events": ids, "event": what})
                    break
            else:
                cases.append({"says": says, "verdicts": {f"{first}-{last}": clause}, "events": used,
                              "auth_events": ids, "event": what})

    message = event("m.room.message", ALICE)
    case("what the selection names", message, ["levels", "alice"], None)
    case("less than it names", message, [], None)
    case("3.1 two for one place", message, ["alice", "alice2"], "3.1")
    case("3.1 one twice", message, ["alice", "alice"], "3.1")
    for name in ["join_rules", "topic", "bob", "message"]:
        case(f"3.2 {name} is not needed", message, ["alice", name], "3.2")
    case("3.2 the create event from version 12, v1 2.4 without it before", message, ["alice"],
         [(1, "v1 2.4"), (12, None)], create=False)
    cases.append({"says": "3.2 the create event", "verdicts": {"1-11": None, "12-12": "3.2"},
                  "events": {"create": CREATE}, "auth_events": ["create"], "event": message})
    case("3.3 one that was rejected", message, ["rejected", "alice"], "3.3")
    case("3.5 one of another room", message, ["foreign", "alice"], "3.5")
    case("3 one that is not known", message, ["alice", "nowhere"], "3")
    for membership in ["join", "invite", "knock"]:
        case(f"3.2 join rules for {membership}", member(membership, BOB, ALICE), ["alice", "bob", "join_rules"], None)
    for membership in ["leave", "ban"]:
        case(f"3.2 join rules for {membership}", member(membership, BOB, ALICE), ["alice", "bob", "join_rules"], "3.2")
        case(f"3.2 the target for {membership}", member(membership, BOB, ALICE), ["alice", "bob"], None)
    third = {"third_party_invite": {"signed": {"token": "token"}}}
    case("3.2 a third-party invite", member("invite", BOB, ALICE, **third), ["alice", "token"], None)
    case("3.2 a third-party invite for a join", member("join", BOB, ALICE, **third), ["alice", "token"], "3.2")
    case("3.2 a third-party invite nobody names", member("invite", BOB, ALICE), ["alice", "token"], "3.2")
    via = {"join_authorised_via_users_server": CAROL}
    case("3.2 the authorizing user from version 8", member("join", BOB, **via), ["bob", "carol"],
         [(1, "3.2"), (8, None)])
    case("3.2 the authorizing user for a join only", member("invite", BOB, ALICE, **via), ["alice", "carol"], "3.2")
    case("3.2 another user", member("join", BOB), ["bob", "carol"], "3.2")
    cases.append({"says": "3.2 a create event has none", "verdicts": {"1-12": "3.2"}, "events": {"alice": base["alice"]},
                  "auth_events": ["alice"], "event": CREATE})
    cases.append({"says": "a create event has none", "verdicts": {"1-12": None}, "events": {}, "auth_events": [],
                  "event": CREATE})
    return {
        "source": "Fedchat, script/room-vectors, from Matrix specification v1.19 rooms and server-server-api",
        "note": "as authorization.json; `rejected` marks an event that was rejected on receipt",
        "cases": cases,
    }
