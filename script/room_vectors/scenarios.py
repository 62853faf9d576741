"""Forks of a room and what they resolve to, by the three algorithms."""
import hashlib

ALICE, BOB, CAROL, MALLORY, DAVE = (
    "@alice:one.test", "@bob:two.test", "@carol:one.test", "@mallory:three.test", "@dave:two.test")
EVERY, SECOND, TWO = "1-12", "2-12", "2-11"


class Room:
    """A room that forks: events, and a state for each fork."""

    def __init__(self, levels=None, create=None, users=(BOB, CAROL)):
        self.events, self.forks = [], {}
        self.base = {}
        levels = {"users": {"$creator": 100, BOB: 50, CAROL: 50}} if levels is None else levels
        self.add(None, "create", "m.room.create", ALICE, create or {})
        self.add(None, "alice", "m.room.member", ALICE, {"membership": "join"}, ALICE)
        self.add(None, "levels", "m.room.power_levels", ALICE, levels)
        self.add(None, "rules", "m.room.join_rules", ALICE, {"join_rule": "public"})
        for user in users:
            self.add(None, user[1:].split(":")[0], "m.room.member", user, {"membership": "join"}, user)

    def fork(self, name):
        self.forks[name] = dict(self.base)
        return name

    def add(self, fork, name, kind, sender, content=None, state_key="", at=None, depth=None):
        """Adds a state event to a fork, or to what the forks begin with; its auth events are taken from that state."""
        content = content or {}
        current = self.base if fork is None else self.forks[fork]
        keys = []
        if kind != "m.room.create":
            keys = [("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", sender)]
        if kind == "m.room.member":
            keys.append(("m.room.member", state_key))
            if content["membership"] in ("join", "invite", "knock"):
                keys.append(("m.room.join_rules", ""))
        auth = list(dict.fromkeys(current[key] for key in keys if key in current))
        number = len(self.events) + 1
        self.events.append({
            "event_id": "$" + name, "type": kind, "sender": sender, "state_key": state_key, "content": content,
            "origin_server_ts": 1_000 * number if at is None else at, "depth": number if depth is None else depth,
            "auth_events": auth,
        })
        current[kind, state_key] = "$" + name
        return name

    def topic(self, fork, name, sender, **more):
        return self.add(fork, name, "m.room.topic", sender, {"topic": name}, **more)

    def ban(self, fork, name, target, by=ALICE, **more):
        return self.add(fork, name, "m.room.member", by, {"membership": "ban"}, target, **more)

    def levels(self, fork, name, content, by=ALICE, **more):
        return self.add(fork, name, "m.room.power_levels", by, content, **more)

    def case(self, says, resolved):
        """`resolved`: for ranges of versions what differs from the state that the forks began with; None removes."""
        expected = {}
        for versions, changes in resolved.items():
            state = dict(self.base)
            for name, value in changes.items():
                event = next(e for e in self.events if e["event_id"] == "$" + name)
                if value is None:
                    state.pop((event["type"], event["state_key"]), None)
                else:
                    state[event["type"], event["state_key"]] = "$" + name
            expected[versions] = list(state.values())
        return {"says": says, "events": self.events, "forks": [list(fork.values()) for fork in self.forks.values()],
                "resolved": expected}


def least_sha1(*names):
    return min(names, key=lambda name: hashlib.sha1(f"${name}".encode()).digest())


def vectors():
    cases = []

    room = Room()
    room.ban(room.fork("a"), "ban", BOB)
    room.topic(room.fork("b"), "topic", BOB)
    cases.append(room.case("a ban undoes what the banned did at the same time; version 1 knows no conflict in it", {
        "1-1": {"ban": 1, "topic": 1}, SECOND: {"ban": 1}}))

    room = Room()
    room.levels(room.fork("a"), "hers", {"users": {"$creator": 100, CAROL: 50}}, at=90_000)
    room.levels(room.fork("b"), "his", {"users": {"$creator": 100, BOB: 50, CAROL: 50, MALLORY: 50}}, by=BOB)
    cases.append(room.case("who has more power comes first, though later; then the other's change is not allowed", {
        EVERY: {"hers": 1}}))

    room = Room()
    room.topic(room.fork("a"), "current", ALICE, at=90_000)
    room.topic(room.fork("b"), "stale", BOB, at=50_000, depth=100)
    cases.append(room.case("depth decides in version 1, time later", {"1-1": {"stale": 1}, SECOND: {"current": 1}}))

    room = Room()
    for name, user in [("p", BOB), ("q", ALICE), ("r", CAROL)]:
        room.topic(room.fork(name), name, user, at=50_000, depth=50)
    least = least_sha1("p", "q", "r")
    assert least != "r"
    cases.append(room.case("of equals the least SHA-1 of the id wins in version 1, the greatest id later", {
        "1-1": {least: 1}, SECOND: {"r": 1}}))

    room = Room()
    for name, user, at in [("first", ALICE, 50_000), ("last", BOB, 52_000), ("middle", CAROL, 51_000)]:
        room.topic(room.fork(name), name, user, at=at, depth=50)
    cases.append(room.case("of three forks the latest wins", {SECOND: {"last": 1}}))

    room = Room()
    room.topic(room.fork("a"), "on-old-levels", BOB, at=90_000, depth=20)
    fork = room.fork("b")
    room.levels(fork, "levels2", {"users": {"$creator": 100, BOB: 50, CAROL: 50}, "ban": 60})
    room.topic(fork, "on-new-levels", ALICE, at=20_000, depth=21)
    cases.append(room.case("what rests on newer power levels comes later, whatever the clocks say", {
        EVERY: {"levels2": 1, "on-new-levels": 1}}))

    room = Room()
    fork = room.fork("a")
    room.levels(fork, "levels2", {"users": {"$creator": 100, BOB: 50, CAROL: 50}, "ban": 60})
    room.levels(fork, "levels3", {"users": {"$creator": 100, BOB: 50, CAROL: 50}, "ban": 70})
    room.topic(fork, "newest", BOB, at=1)
    fork = room.fork("b")
    room.levels(fork, "side", {"users": {"$creator": 100, BOB: 50, CAROL: 50}, "kick": 40}, by=BOB)
    room.topic(fork, "aside", BOB, at=90_000)
    cases.append(room.case("power levels beside the mainline count as those of the mainline that they rest on", {
        SECOND: {"levels3": 1, "newest": 1}}))

    room = Room()
    room.add(room.fork("a"), "invite-only", "m.room.join_rules", ALICE, {"join_rule": "invite"}, at=90_000)
    room.add(room.fork("b"), "mallory", "m.room.member", MALLORY, {"membership": "join"}, MALLORY)
    cases.append(room.case("join rules come before joins; version 1 knows no conflict in them", {
        "1-1": {"invite-only": 1, "mallory": 1}, SECOND: {"invite-only": 1}}))

    room = Room()
    room.add(room.fork("a"), "name", "m.room.name", ALICE, {"name": "here"})
    room.fork("b")
    cases.append(room.case("what only one fork has is kept if it is allowed", {EVERY: {"name": 1}}))

    # The state that all agree on is newer than what it would have to allow.
    room = Room()
    room.add(None, "mallory", "m.room.member", MALLORY, {"membership": "join"}, MALLORY)
    room.add(None, "invite-only", "m.room.join_rules", ALICE, {"join_rule": "invite"})
    room.fork("a")
    room.fork("b")
    del room.forks["b"]["m.room.member", MALLORY]
    cases.append(room.case("version 2 loses a member who came before the room was closed, 2.1 does not", {
        "1-1": {}, TWO: {"mallory": None}, "12-12": {}}))

    room = Room(users=(CAROL,))
    fork = room.fork("a")
    room.add(fork, "bob", "m.room.member", BOB, {"membership": "join"}, BOB)
    room.topic(fork, "topic", BOB)
    del room.forks["a"]["m.room.member", BOB]
    room.fork("b")
    cases.append(room.case("the auth difference is resolved too: what a topic rests on comes back", {
        "1-1": {"topic": 1}, SECOND: {"topic": 1, "bob": 1}}))

    # The newer levels are in both states, and only one of them has an event that rests on them.
    room = Room()
    room.topic(None, "before", ALICE)
    room.topic(None, "bobs", BOB)
    room.levels(None, "levels2", {"users": {"$creator": 100, CAROL: 50}})
    room.add(room.fork("a"), "name", "m.room.name", ALICE, {"name": "here"})
    room.fork("b")
    room.forks["b"]["m.room.topic", ""] = "$before"
    cases.append(room.case("what is in all states is not in the auth difference, though not all lead to it", {
        TWO: {"before": 1, "name": 1}, "12-12": {"bobs": 1, "name": 1}}))

    room = Room()
    fork = room.fork("a")
    room.add(fork, "dave", "m.room.member", DAVE, {"membership": "join"}, DAVE)
    room.levels(fork, "levels2", {"users": {"$creator": 100, BOB: 50, CAROL: 50, DAVE: 60}})
    room.ban(fork, "ban", BOB, by=DAVE)
    room.topic(room.fork("b"), "topic", BOB, at=1)
    cases.append(room.case("what a ban rests on is settled before it", {
        SECOND: {"dave": 1, "levels2": 1, "ban": 1}}))

    # Kicks are power events, leaving is not.
    for name, says, by, kept in [("kick", "a kick comes before what the kicked did", ALICE, {"kick": 1}),
                                 ("leave", "leaving does not, but later", BOB, {"leave": 1, "topic": 1})]:
        room = Room()
        room.add(room.fork("a"), name, "m.room.member", by, {"membership": "leave"}, BOB, at=90_000)
        room.topic(room.fork("b"), "topic", BOB, at=20_000)
        cases.append(room.case(says, {SECOND: kept}))

    hundred = {"users": {"$creator": 100, BOB: 100}}
    room = Room(levels=hundred, users=(BOB,))
    room.levels(room.fork("a"), "hers", {**hundred, "ban": 60}, at=90_000)
    room.levels(room.fork("b"), "his", {**hundred, "kick": 60}, by=BOB, at=50_000)
    cases.append(room.case("a creator of version 12 is above 100, so comes first; before, time decides", {
        TWO: {"hers": 1}, "12-12": {"his": 1}}))

    room = Room(levels={"users": {}}, create={"additional_creators": [DAVE]}, users=(DAVE,))
    room.levels(room.fork("a"), "hers", {"ban": 60}, at=90_000)
    room.levels(room.fork("b"), "daves", {"kick": 60}, by=DAVE, at=50_000)
    cases.append(room.case("between creators time decides", {"12-12": {"hers": 1}}))

    # Version 1's chain of power levels stops where one is not allowed.
    room = Room()
    room.levels(room.fork("a"), "demoted", {"users": {"$creator": 100, CAROL: 50}}, depth=20)
    room.levels(room.fork("b"), "kept", {"users": {"$creator": 100, BOB: 50, CAROL: 50}, "ban": 40}, by=BOB, depth=21)
    room.levels(room.fork("c"), "later", {"users": {"$creator": 100, CAROL: 40}}, by=ALICE, depth=22)
    cases.append(room.case("the line of version 1 stops at the first that is not allowed", {"1-1": {"demoted": 1}}))

    room = Room()
    fork = room.fork("a")
    room.add(fork, "renamed", "m.room.member", BOB, {"membership": "join", "displayname": "Bob"}, BOB)
    room.levels(fork, "his", {"users": {"$creator": 100, BOB: 50, CAROL: 50}, "ban": 40}, by=BOB, depth=20)
    room.fork("b")
    cases.append(room.case("in version 1 power levels are settled before memberships, of which those in conflict do not count", {
        "1-1": {"renamed": 1}}))

    room = Room()
    both = {"users": {"$creator": 100, BOB: 50, CAROL: 50}}
    room.levels(room.fork("a"), "hers", {**both, "ban": 45}, depth=20)
    room.levels(room.fork("b"), "his", {**both, "kick": 40}, by=BOB, depth=21)
    cases.append(room.case("in version 1 each power levels event is judged by the one before it", {"1-1": {"his": 1}}))

    # Version 1: other state must pass in what is resolved, the deepest first.
    room = Room()
    fork = room.fork("a")
    room.topic(fork, "hers", ALICE, depth=30)
    room.ban(fork, "ban", BOB, depth=31)
    room.topic(room.fork("b"), "his", BOB, depth=40)
    cases.append(room.case("in version 1 the deepest that is allowed wins", {"1-1": {"hers": 1, "ban": 1}}))

    return {
        "source": "Fedchat, script/room-vectors, from Matrix specification v1.19 content/rooms; the difference between "
                  "2 and 2.1 is that of MSC4297",
        "note": "event ids are symbolic, as in state-resolution.json. From version 12 the create event is no auth event. "
                "'$creator' in users is Alice up to version 11 and goes from 12. Up to version 10 the create event's "
                "content names its sender as creator.",
        "cases": cases,
    }
