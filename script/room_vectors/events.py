"""Whole events of every room version: what their hashes, signatures, ids and redacted forms must be."""
from .signing import base64_unpadded, canonical, content_hash, event_id, public_key, redacted, reference_hash, seal

SERVER, KEY_ID, SEED = "one.test", "ed25519:vector", bytes(range(32))
ALICE = "@alice:one.test"


def drafts(version):
    """Type, state key, content and further top-level keys of the events of one room."""
    creator = {} if version >= 11 else {"creator": ALICE}
    create = {"room_version": str(version), **creator, "m.federate": True, "org.example": {"kept": "from 11"}}
    if version >= 12:
        create["additional_creators"] = ["@bob:two.test"]
    yield "m.room.create", "", create, {}
    # Every key that some version keeps in a redaction, and some that none keeps.
    everything = {"origin": SERVER, "membership": "join", "prev_state": [], "org.example.extra": "gone"}
    yield "m.room.member", ALICE, {
        "membership": "join", "displayname": "Алиса \u00e9 \U0001f600 \"quoted\" \\ \u2028",
        "join_authorised_via_users_server": "@carol:one.test",
        "third_party_invite": {"display_name": "a", "signed": {"mxid": ALICE, "token": "t", "signatures": {}}},
    }, everything
    yield "m.room.member", "@dave:one.test", {"membership": "leave", "third_party_invite": {"display_name": "b"}}, {}
    levels = {
        "ban": 50, "events": {"m.room.name": 100}, "events_default": 0, "invite": 0, "kick": 50, "redact": 50,
        "state_default": 50, "users": {} if version >= 12 else {ALICE: 100}, "users_default": 0,
        "notifications": {"room": 20}, "historical": 100,
    }
    if version <= 9:
        levels["ban"] = " +0050 "
    yield "m.room.power_levels", "", levels, {}
    yield "m.room.join_rules", "", {
        "join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": "!other:one.test"}], "x": 1,
    }, {}
    yield "m.room.aliases", SERVER, {"aliases": ["#tea:one.test"], "x": 1}, {}
    yield "m.room.history_visibility", "", {"history_visibility": "shared", "x": 1}, {}
    yield "m.room.name", "", {"name": "Tea"}, {}
    yield "m.room.message", None, {"body": "hello", "msgtype": "m.text", "m.relates_to": {"event_id": "$x"}}, {}
    redacts = {} if version >= 11 else {"redacts": "$target:one.test"}
    yield "m.room.redaction", None, {
        "reason": "spam", **({"redacts": "$target"} if version >= 11 else {}),
    }, redacts
    numbers = {"zero": 0, "large": 2**53 - 1, "small": -(2**53 - 1), "nothing": None, "yes": True, "list": [[], {}]}
    if version <= 5:
        numbers |= {"fraction": 0.5, "beyond": 2**53}
    yield "org.example.numbers", "key", numbers, {}


def vectors():
    cases = []
    for version in range(1, 13):
        previous, room = [], "!room:one.test"
        for number, (kind, state_key, content, more) in enumerate(drafts(version)):
            event = {
                "type": kind, "sender": ALICE, "content": content, "depth": number + 1,
                "origin_server_ts": 1_700_000_000_000 + number, "prev_events": previous,
                "auth_events": [], **more,
            }
            if state_key is not None:
                event["state_key"] = state_key
            if version <= 11 or kind != "m.room.create":
                event["room_id"] = room
            if version <= 2:
                event["event_id"] = f"$event{number}:one.test"
            event = seal(event, version, SERVER, KEY_ID, SEED)
            identifier = event_id(event, version)
            if version >= 12 and kind == "m.room.create":
                room = "!" + identifier[1:]
            reference = reference_hash(event, version)
            assert reference == reference_hash(redacted(event, version), version)
            # What was sent may be written otherwise, and hold what is not protected.
            cases.append({
                "version": str(version), "type": kind, "event": event, "canonical": canonical(event).decode(),
                "content_hash": base64_unpadded(content_hash(event)), "reference_hash": base64_unpadded(reference),
                "event_id": identifier, "room_id": room, "redacted": redacted(event, version),
            })
            previous = [[identifier, {"sha256": base64_unpadded(reference)}]] if version <= 2 else [identifier]
    return {
        "source": "Fedchat, script/room-vectors, from Matrix specification v1.19 content/rooms and server-server-api",
        "note": "each event was hashed and signed by a second implementation (Python); `canonical` is its signed form",
        "server": SERVER, "key_id": KEY_ID, "seed": base64_unpadded(SEED),
        "public_key": base64_unpadded(public_key(SEED)), "cases": cases,
    }
