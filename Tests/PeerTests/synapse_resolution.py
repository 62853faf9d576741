"""Has Synapse resolve forks of rooms made by chance, which Fedchat must resolve to the same.

    synapse_resolution.py --write   makes the rooms and writes spec/vectors/state-resolution/synapse.json
    synapse_resolution.py           has Synapse resolve those of the file, and our scenarios, again

No server runs: the functions that resolve state are called. The Swift tests read the file.
"""
import asyncio
import json
import pathlib
import random
import sys

import synapse
from synapse import event_auth
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.events import make_event_from_dict
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VECTORS = ROOT / "spec/vectors/state-resolution"
USERS = ["@alice:one.test", "@bob:two.test", "@carol:one.test", "@mallory:three.test"]
VERSIONS = ["1", "2", "3", "6", "9", "11", "12"]


class Store:
    """What Synapse asks of its database: events, the auth difference, and the conflicted subgraph."""

    def __init__(self, events):
        self.events = events

    async def get_events(self, ids, allow_rejected=False):
        return {one: self.events[one] for one in ids if one in self.events}

    def chain(self, ids):
        found, open_ = set(), list(ids)
        while open_:
            one = open_.pop()
            if one in found or one not in self.events:
                continue
            found.add(one)
            open_.extend(self.events[one].auth_event_ids())
        return found

    async def get_auth_chain_difference(self, room_id, state_sets, conflicted, more):
        chains = [self.chain(state) for state in state_sets]
        difference = set.union(*chains) - set.intersection(*chains)
        subgraph = None
        if conflicted is not None:
            below = self.chain(conflicted)
            subgraph = {one for one in below if self.chain([one]) & conflicted}
        return StateDifference(auth_difference=difference, conflicted_subgraph=subgraph)


def resolve(version, forks, events, room_id):
    rules = KNOWN_ROOM_VERSIONS[version]
    store = Store(events)
    if version == "1":
        work = v1.resolve_events_with_store(room_id, rules, forks, dict(events), store.get_events)
    else:
        class Clock:
            async def sleep(self, _):
                pass
        work = v2.resolve_events_with_store(Clock(), room_id, rules, forks, None, store)
    return dict(asyncio.run(work))


class Room:
    def __init__(self, version, chance):
        self.version, self.chance, self.events, self.order = version, chance, {}, []
        self.time = 1_700_000_000_000
        state = {}
        number = int(version)
        create = {"room_version": version}
        if number <= 10:
            create["creator"] = USERS[0]
        if number >= 12 and chance.random() < 0.5:
            create["additional_creators"] = [USERS[2]]
        self.room_id = "!room:one.test"
        made = self.make("m.room.create", USERS[0], "", create, state, None)
        if number >= 12:
            self.room_id = made.room_id
        self.add(made, state)
        users = {USERS[1]: 50}
        if number <= 11:
            users[USERS[0]] = 100
        if "additional_creators" not in create:
            users[USERS[2]] = 50
        last = made.event_id
        for kind, sender, key, content in [
            ("m.room.member", USERS[0], USERS[0], {"membership": "join"}),
            ("m.room.power_levels", USERS[0], "", {"users": users}),
            ("m.room.join_rules", USERS[0], "", {"join_rule": "public"}),
            ("m.room.member", USERS[1], USERS[1], {"membership": "join"}),
            ("m.room.member", USERS[2], USERS[2], {"membership": "join"}),
        ]:
            made = self.make(kind, sender, key, content, state, last)
            assert self.allows(made, state), kind
            self.add(made, state)
            last = made.event_id
        last = self.wander(state, last, 4)
        self.forks = []
        for _ in range(chance.randint(2, 4)):
            fork = dict(state)
            self.wander(fork, last, chance.randint(1, 7))
            if chance.random() < 0.4:
                lost = chance.choice(sorted(key for key in fork if key[0] != "m.room.create"))
                del fork[lost]
            self.forks.append(fork)

    def make(self, kind, sender, key, content, state, last):
        rules = KNOWN_ROOM_VERSIONS[self.version]
        number = int(self.version)
        event = {
            "type": kind, "sender": sender, "state_key": key, "content": content, "origin_server_ts": self.time,
            "depth": (self.events[last].depth if last else 0) + 1, "hashes": {"sha256": ""},
            "signatures": {sender.split(":")[1]: {"ed25519:1": ""}}, "prev_events": [last] if last else [],
            "auth_events": [],
        }
        if number <= 11 or kind != "m.room.create":
            event["room_id"] = self.room_id
        if number <= 2:
            event["event_id"] = f"${len(self.events)}-{self.chance.randrange(1000)}:one.test"
        draft = dict(event)
        if number <= 2:
            draft["prev_events"] = [[one, {}] for one in draft["prev_events"]]
        wanted = event_auth.auth_types_for_event(rules, make_event_from_dict(draft, rules))
        auth = [state[one] for one in sorted(wanted) if one in state]
        if number >= 12:
            auth = [one for one in auth if self.events[one].type != "m.room.create"]
        event["auth_events"] = auth
        sent = dict(event)
        if number <= 2:
            for field in ("prev_events", "auth_events"):
                sent[field] = [[one, {}] for one in sent[field]]
        made = make_event_from_dict(sent, rules)
        self.sent = {**event, "event_id": made.event_id}
        return made

    def allows(self, event, state):
        try:
            event_auth.check_state_dependent_auth_rules(event, [self.events[one] for one in state.values()])
            return True
        except Exception:  # noqa: BLE001
            return False

    def add(self, event, state):
        self.events[event.event_id] = event
        self.order.append(self.sent)
        state[event.type, event.state_key] = event.event_id
        self.time += 1_000

    def wander(self, state, last, count):
        chance = self.chance
        for _ in range(count):
            sender, target = chance.choice(USERS), chance.choice(USERS)
            levels = state.get(("m.room.power_levels", ""))
            content = json.loads(json.dumps(self.events[levels].get_dict()["content"])) if levels else {}
            if target == USERS[0]:
                content["ban"] = chance.randint(0, 60)
            else:
                content.setdefault("users", {})[target] = chance.randint(0, 60)
            kind, key, what = chance.choice([
                ("m.room.topic", "", {"topic": str(chance.randrange(1000))}),
                ("m.room.topic", "", {"topic": str(chance.randrange(1000))}),
                ("m.room.member", target, {"membership": "leave"}),
                ("m.room.member", target, {"membership": "ban"}),
                ("m.room.member", sender, {"membership": "join"}),
                ("m.room.member", sender, {"membership": "join"}),
                ("m.room.member", target, {"membership": "invite"}),
                ("m.room.join_rules", "", {"join_rule": chance.choice(["invite", "public"])}),
                ("m.room.power_levels", "", content),
            ])
            self.time += chance.choice([0, 0, 1_000, -3_000, 40_000])
            event = self.make(kind, sender, key, what, state, last)
            if self.allows(event, state):
                self.add(event, state)
                last = event.event_id
        return last


def fields(event):
    return {key: event[key] for key in (
        "event_id", "type", "sender", "state_key", "content", "origin_server_ts", "depth", "prev_events", "auth_events")}


def write():
    cases = []
    for version in VERSIONS:
        seed = 0
        kept = 0
        while kept < 9:
            seed += 1
            room = Room(version, random.Random(f"{version} {seed}"))
            resolved = resolve(version, room.forks, room.events, room.room_id)
            # Where a fork simply wins little is shown.
            if resolved in room.forks and kept % 4:
                continue
            kept += 1
            cases.append({
                "version": version, "room_id": room.room_id, "events": [fields(event) for event in room.order],
                "forks": [sorted(fork.values()) for fork in room.forks], "resolved": sorted(resolved.values()),
            })
    head = {
        "source": f"Synapse {synapse.__version__}, Tests/PeerTests/synapse_resolution.py: rooms by chance, which it resolved",
        "note": "auth_events are plain ids in every version",
    }
    lines = ["{"] + [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()] + [' "cases": [']
    lines.append(",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in cases))
    (VECTORS / "synapse.json").write_text("\n".join(lines + [" ]", "}"]) + "\n")
    print(f"{len(cases)} rooms written")


def read_event(event, version, room_id, ids):
    """An event of a vector. Where its id is its hash it gets another one: `ids` remembers."""
    number, event = int(version), dict(event)
    name = event.pop("event_id")
    auth = [ids[one] for one in event["auth_events"] if one in ids]
    event["prev_events"] = prev = event.get("prev_events", [])
    event |= {"hashes": {"sha256": ""}, "signatures": {event["sender"].split(":")[1]: {"ed25519:1": ""}}}
    content = event["content"] = json.loads(json.dumps(event["content"]))
    if event["type"] == "m.room.create":
        content.setdefault("room_version", version)
        if number <= 10:
            content.setdefault("creator", event["sender"])
    users = content.get("users", {})
    if "$creator" in users:
        level = users.pop("$creator")
        if number <= 11:
            users[USERS[0]] = level
    if number <= 2:
        event["event_id"], event["auth_events"] = name, [[one, {}] for one in auth]
        event["prev_events"] = [[one, {}] for one in prev]
    else:
        event["auth_events"] = auth
    if not (number >= 12 and event["type"] == "m.room.create"):
        event["room_id"] = room_id
    return name, make_event_from_dict(event, KNOWN_ROOM_VERSIONS[version])


def again(version, room_id, listed, forks, expected):
    events, ids = {}, {}
    for event in listed:
        if int(version) >= 12:
            event = {**event, "auth_events": [one for one in event["auth_events"] if one != "$create"]}
        name, made = read_event(event, version, room_id, ids)
        if int(version) >= 12 and made.type == "m.room.create":
            room_id = made.room_id
        ids[name], events[made.event_id] = made.event_id, made
    maps = [{(events[ids[one]].type, events[ids[one]].state_key): ids[one] for one in fork} for fork in forks]
    return set(resolve(version, maps, events, room_id).values()) == {ids[one] for one in expected}


def check():
    passed = failed = skipped = 0
    for case in json.loads((VECTORS / "synapse.json").read_text())["cases"]:
        holds = again(case["version"], case["room_id"], case["events"], case["forks"], case["resolved"])
        passed, failed = passed + holds, failed + (not holds)
    for case in json.loads((VECTORS / "scenarios.json").read_text())["cases"]:
        for bounds, expected in case["resolved"].items():
            first, last = map(int, bounds.split("-"))
            for number in range(first, last + 1):
                # From version 3 on ids are hashes here, so those of the vector decide nothing.
                if "the greatest id" in case["says"] and number >= 3:
                    skipped += 1
                    print(f"SKIPPED version {number}: from version 3 ids are hashes, so the vector's ids decide nothing")
                    continue
                if again(str(number), "!room:one.test", case["events"], case["forks"], expected):
                    passed += 1
                else:
                    failed += 1
                    print(f"version {number}: Synapse resolves otherwise: {case['says']}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if "--write" in sys.argv:
    write()
else:
    sys.exit(check())
