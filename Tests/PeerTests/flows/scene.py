"""The servers of a flow and what all flows ask of them: people, rooms, events that arrive, states that agree."""
import base64
import secrets
import time
import urllib.parse

import puppet      # puts blackbox on the path

from blackbox.matrix import quoted, timeline
from blackbox.report import eventually, expect, expect_equal

from canonicaljson import encode_canonical_json
from nacl.signing import SigningKey
from signedjson.key import decode_signing_key_base64
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import add_hashes_and_signatures
from synapse.events import make_event_from_dict

PATIENCE = 40      # seconds until what one server knows must have reached another


class World:
    """The servers of a run, on one network."""

    def __init__(self, network, ours, first, second, trust):
        self.network, self.ours, self.first, self.second, self.trust = network, ours, first, second, trust

    def signed(self, origin, target, method, path, body=None):
        """A federation request in the name of a server, past the network; returns status and JSON."""
        _, version, seed = origin.signing_key()
        key = SigningKey(base64.b64decode(seed + "=" * (-len(seed) % 4)))

        def sign(content):
            return puppet.unpadded(key.sign(encode_canonical_json(content)).signature)

        return puppet.signed_request(target, method, path, body, origin.name, target.name, f"ed25519:{version}", sign, self.trust)

    def plain(self, target, method, path, body=None):
        """A request that no server signs, past the network; returns status and JSON."""
        return puppet.plain_request(target, method, path, body, self.trust)


class Scene:
    """One run of a flow: `host` has the room, `guest` comes to it, `third` is yet another server."""

    def __init__(self, world, direction, version):
        self.world, self.version = world, version
        ours, first, second = world.ours, world.first, world.second
        self.host, self.guest, self.third = {
            "our room": (ours, first, second), "their room": (first, ours, second),
            "we create": (ours, first, second), "we pass on": (first, ours, second), "we come third": (first, second, ours),
        }[direction]
        self.number = int(version) if version else 12

    # People and rooms.

    def people(self):
        return self.host.user("host"), self.guest.user("guest")

    def room(self, user, **more):
        room = user.create_room(**{"room_version": self.version or "12", "preset": "private_chat", **more})
        return room

    def shared(self, **more):
        """A room of the host's that a guest has joined by invitation."""
        host, guest = self.people()
        room = self.room(host, **more)
        self.bring(host, guest, room)
        return host, guest, room

    def bring(self, host, guest, room):
        host.invite(room, guest)
        self.invited(guest, room)
        guest.join(room, [host.server_name])
        self.membership(host, room, guest, "join")

    def powers(self, user, room, **changes):
        """Changes the room's power levels; `users` are added to those there are."""
        content = user.state(room, "m.room.power_levels")
        users = {**content.get("users", {}), **changes.pop("users", {})}
        events = {**content.get("events", {}), **changes.pop("events", {})}
        return user.set_state(room, "m.room.power_levels", {**content, **changes, "users": users, "events": events})

    # Waiting.

    def until(self, holds, what, seconds=PATIENCE):
        eventually(holds, what, seconds)

    def invited(self, user, room):
        self.until(lambda: room in rooms(user.sync(), "invite"), f"{user.id} is invited to {room}")

    def not_invited(self, user, room):
        self.until(lambda: room not in rooms(user.sync(), "invite"), f"{user.id} is no longer invited to {room}")

    def membership(self, user, room, of, wanted):
        """`user` sees the membership of `of` become `wanted`."""
        def now():
            answer = user.request("GET", f"/rooms/{quoted(room)}/state/m.room.member/{quoted(of.id)}")
            return answer.status == 200 and answer.json.get("membership") == wanted
        self.until(now, f"{user.id} sees {of.id} at {wanted}")

    def sees(self, user, room, *events, seconds=PATIENCE):
        """The user has the events in the room's timeline."""
        missing = list(events)

        def all_there():
            while missing:
                answer = user.request("GET", f"/rooms/{quoted(room)}/event/{quoted(missing[0])}")
                if answer.status != 200:
                    return False
                missing.pop(0)
            return True
        self.until(all_there, f"{user.id} sees the events, of which {missing} are missing", seconds)

    def state_is(self, user, room, event_type, event, state_key="", seconds=PATIENCE):
        """The user's server has that event as the room's state."""
        def current():
            state = user.call("GET", f"/rooms/{quoted(room)}/state")
            return any((each["type"], each["state_key"], each["event_id"]) == (event_type, state_key, event) for each in state)
        self.until(current, f"{user.id} sees {event} as {event_type}", seconds)

    def say_and_hear(self, one, other, room, text):
        """Said by the one, heard by the other in a sync."""
        since = other.sync()["next_batch"]
        event = one.send(room, text)
        other.sync_until(lambda answer: any(each["event_id"] == event for each in timeline(answer, room)), since, PATIENCE)
        return event

    def refused(self, answer, status=403, errcode="M_FORBIDDEN"):
        """Where somebody is banned, Synapse speaks of M_BAD_STATE; the specification has M_FORBIDDEN for that."""
        found = "M_FORBIDDEN" if answer.errcode == "M_BAD_STATE" and status == 403 else answer.errcode
        expect_equal((answer.status, found), (status, errcode), f"{answer}")

    # Comparing.

    def alike(self, room, *people, silent=()):
        """All servers of the people agree about the room: its current state, event by event, its members, its newest
        events, and the state before an event that is sent for this by each in turn, but for those who are silent: they may
        not speak there."""
        def states():
            return [{(each["type"], each["state_key"]): each["event_id"]
                     for each in user.call("GET", f"/rooms/{quoted(room)}/state")} for user in people]

        def differing():
            found = states()
            keys = set().union(*found)
            return {key: [each.get(key) for each in found] for key in keys if len({each.get(key) for each in found}) > 1}

        try:
            self.until(lambda: not differing(), "states agree")
        except AssertionError:
            newest = {user.server_name: self.newest(room, user) for user in people}
            raise AssertionError(f"states of {room} at {[user.id for user in people]} differ: {differing()}; newest: {newest}; "
                                 f"before those: {self.compared(room, set().union(*newest.values()), list(newest))}") from None
        members = [sorted(user.call("GET", f"/rooms/{quoted(room)}/joined_members")["joined"]) for user in people]
        for each in members[1:]:
            expect_equal(each, members[0], "the members")
        servers = {user.server_name: user for user in people}
        for user in (each for each in servers.values() if each not in silent):
            last = user.send(room, "do we agree?")
            for other in people:
                self.sees(other, room, last)
            self.agree_before(room, last, list(servers))
        for server in servers.values():
            self.until(lambda: self.newest(room, server) == [last], f"the newest event at {server.id} is the last that was sent: "
                                                                    f"{self.newest(room, server)}")

    def server(self, name):
        return next(each for each in (self.host, self.guest, self.third) if each and each.name == name)

    def newest(self, room, user):
        """The room's forward extremities at the user's server: what the next event would follow."""
        return sorted(each if isinstance(each, str) else each[0] for each in self.template(room, user)["prev_events"])

    def template(self, room, user):
        """An event that would follow the newest at the user's server: a leave of another server's user."""
        server = self.server(user.server_name)
        asker = next(each for each in (self.host, self.guest) if each is not server)
        member = next(each for each in server_members(user, room) if each.endswith(":" + asker.name))
        status, found = self.world.signed(
            asker, server, "GET", f"/_matrix/federation/v1/make_leave/{quoted(room)}/{quoted(member)}")
        expect_equal(status, 200, f"make_leave: {found}")
        return found["event"]

    def made(self, signer, room, user, auth, **fields):
        """An event of the room's version that follows the newest at the user's server, with a server's signature, and
        nothing checked: its id and its JSON. `auth`: type and state key of each auth event; those there are not are left
        out. How events are hashed and signed is Synapse's code."""
        version = KNOWN_ROOM_VERSIONS[self.version]
        template = self.template(room, user)
        state = {(each["type"], each["state_key"]): each["event_id"] for each in user.call("GET", f"/rooms/{quoted(room)}/state")}
        ids = [state[key] for key in auth if key in state]
        event = {"room_id": room, "depth": template["depth"], "prev_events": template["prev_events"], "auth_events": ids,
                 "origin_server_ts": milliseconds(), **fields}
        if self.number < 3:
            event["auth_events"] = [[each, {}] for each in ids]
            event["event_id"] = f"${secrets.token_hex(9)}:{signer.name}"
        _, key_version, seed = signer.signing_key()
        add_hashes_and_signatures(version, event, signer.name, decode_signing_key_base64("ed25519", key_version, seed))
        return make_event_from_dict(event, version).event_id, event

    def sent(self, origin, target, event):
        """Sends an event to a server in the name of another, which may be sending something of its own: Synapse takes one
        transaction at a time."""
        def taken():
            status, answer = self.world.signed(origin, target, "PUT", f"/_matrix/federation/v1/send/{secrets.token_hex(9)}", {
                "origin": origin.name, "origin_server_ts": milliseconds(), "pdus": [event]})
            expect(status in (200, 429), f"send to {target.kind}: {status} {answer}")
            return status == 200
        self.until(taken, f"{target.kind} takes the transaction")

    def state_ids(self, room, event, server, asker):
        status, found = self.world.signed(
            asker, server, "GET", f"/_matrix/federation/v1/state_ids/{quoted(room)}?event_id={quoted(event)}")
        expect_equal(status, 200, f"state_ids at {server.kind}: {found}")
        return found

    def compared(self, room, events, names):
        """Whether the servers agree about the state before each of the events, in words."""
        found = {}
        for event in events:
            try:
                self.agree_before(room, event, names)
                found[event] = "agree"
            except AssertionError as error:
                found[event] = str(error)
        return found

    def agree_before(self, room, event, names):
        """The servers have the same state before the event, and the same auth chain. Of the chain only what is not in the
        state is compared: from room version 12 on nothing says whether the create event, which no event names, is part."""
        servers = [self.server(name) for name in names]
        found = [self.state_ids(room, event, each, servers[number - 1]) for number, each in enumerate(servers)]
        for kind in ("pdu_ids", "auth_chain_ids"):
            for number, each in enumerate(found[1:], 1):
                one, other = (set(found[0][kind]), set(each[kind])) if kind == "pdu_ids" else (
                    set(which[kind]) - set(which["pdu_ids"]) for which in (found[0], each))
                expect(one == other, f"{kind} before {event}: only {servers[0].kind}: {one - other}, only "
                                     f"{servers[number].kind}: {other - one}")

    def same_pdu(self, room, event):
        """Both servers give the same event to the other: same JSON but for `unsigned`."""
        found = []
        for server, asker in ((self.host, self.guest), (self.guest, self.host)):
            status, answer = self.world.signed(asker, server, "GET", f"/_matrix/federation/v1/event/{quoted(event)}")
            expect_equal(status, 200, f"event at {server.kind}: {answer}")
            pdu = {key: value for key, value in answer["pdus"][0].items() if key != "unsigned"}
            found.append(pdu)
        expect_equal(found[0], found[1], f"{event} at both")


def server_members(user, room):
    return user.call("GET", f"/rooms/{quoted(room)}/joined_members")["joined"]


def rooms(answer, kind):
    """The rooms of a kind in a sync's answer: join, invite, knock, leave."""
    return answer.get("rooms", {}).get(kind, {})


def ephemeral(answer, room, kind):
    """The contents of the EDUs of a kind that a sync brought for a room."""
    events = rooms(answer, "join").get(room, {}).get("ephemeral", {}).get("events", [])
    return [event["content"] for event in events if event["type"] == kind]


def query(**fields):
    return urllib.parse.urlencode(fields)


def milliseconds():
    return int(time.time() * 1000)
