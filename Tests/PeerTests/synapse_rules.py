"""Has Synapse judge our vectors of the authorization rules: an implementation that is not ours must agree.

Reads spec/vectors/authorization/authorization.json. No server runs: the functions that judge an event are called. Where
Synapse is known to judge otherwise than the specification's words, the vector is listed below with the reason.
"""
import json
import pathlib
import sys

from synapse import event_auth
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.events import make_event_from_dict

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VECTORS = ROOT / "spec/vectors/authorization/authorization.json"

# Beginnings of what a vector says, and why Synapse's verdict is another.
OTHERWISE = json.loads((pathlib.Path(__file__).parent / "synapse_rules.json").read_text())


def build(vector, version, name, create=None):
    """The event as Synapse reads it; from version 3 on it makes the id, so what the create event is called is given."""
    event = dict(vector)
    rules = KNOWN_ROOM_VERSIONS[version]
    number = int(version)
    is_create = event["type"] == "m.room.create"
    content = event["content"] = dict(event["content"])
    if is_create:
        content.setdefault("room_version", version)
        if content.get("creator") == "$none":
            del content["creator"]
        elif number <= 10:
            content.setdefault("creator", event["sender"])
    if not (number >= 12 and is_create):
        event.setdefault("room_id", create.room_id if create else "!room:one.test")
    event.setdefault("depth", 1)
    event.setdefault("origin_server_ts", 1)
    event.setdefault("hashes", {"sha256": ""})
    # Synapse looks for the signatures that are checked on receipt, which the vectors take for granted.
    via = content.get("join_authorised_via_users_server")
    server = event["sender"].split(":", 1)[1]
    signatures = event["signatures"] = dict(event.get("signatures", {}))
    if number <= 7 or not (isinstance(via, str) and via.endswith(":" + server)):
        signatures.setdefault(server, {"ed25519:1": ""})
    prev = event.get("prev_events", [] if is_create else ["$last"])
    prev = event["prev_events"] = [create.event_id if create and one == "$create" else one for one in prev]
    event["auth_events"] = []
    if number <= 2:
        event["prev_events"] = [[one, {}] for one in prev]
        event["event_id"] = name if ":" in name else f"{name}:{server}"
    else:
        event.pop("event_id", None)
    return make_event_from_dict(event, rules)


def judge(vector, version):
    given = vector["event"]
    is_create = given["type"] == "m.room.create"
    create = next((build(part, version, "$create") for part in vector["state"] if part["type"] == "m.room.create"), None)
    try:
        event = build(given, version, given.get("event_id", "$event"), create)
        state = [create] + [build(part, version, f"${index}", create) for index, part in enumerate(vector["state"])
                            if part["type"] != "m.room.create"]
        if is_create:
            event_auth._check_create(event)
        else:
            event_auth.validate_event_for_room_version(event)
            event_auth.check_state_dependent_auth_rules(event, state)
        return True, ""
    except Exception as error:  # noqa: BLE001 - what it cannot read it does not allow
        return False, f"{type(error).__name__}: {error}"


def main():
    passed = failed = skipped = 0
    for vector in json.loads(VECTORS.read_text())["cases"]:
        for bounds, clause in vector["verdicts"].items():
            first, last = map(int, bounds.split("-"))
            for number in range(first, last + 1):
                allowed, reason = judge(vector, str(number))
                if allowed == (clause is None):
                    passed += 1
                    continue
                why = next((why for says, why in OTHERWISE.items() if vector["says"].startswith(says)), None)
                if why:
                    skipped += 1
                    print(f"SKIPPED version {number}, {clause}: {why}")
                    continue
                failed += 1
                print(f"version {number}: {vector['says']}: expected {clause}, Synapse: {reason or 'allowed'}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
