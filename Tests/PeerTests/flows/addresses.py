"""Invites to addresses: an identity server, which is ours, keeps them until it knows whose address one is."""
import contextlib
import hashlib
import json

from nacl.signing import SigningKey
import puppet      # puts blackbox on the path

from blackbox.matrix import quoted
from blackbox.report import expect, expect_equal

from . import flow
from .scene import query, rooms

ADDRESS = "fay@example.org"
SHOWN = "f...@e..."                 # what people in the room see of the address
TOKEN = "a token of the identity server"
EXCHANGE = "/_matrix/federation/v1/exchange_third_party_invite"


class IdentityServer(puppet.Puppet):
    """Keeps invites to addresses that nobody has, and tells the server of whoever binds one.
    Spec: https://spec.matrix.org/v1.19/identity-service-api/#invitation-storage"""

    def __init__(self, world):
        super().__init__(world.ours.authority)
        self.world, self.kept = world, []
        base = r"/_matrix/identity/v2/"
        self.answers = {
            base + "hash_details": lambda *_: (200, {"lookup_pepper": "salt", "algorithms": ["sha256"]}),
            base + "lookup": lambda *_: (200, {"mappings": {}}),
            base + "store-invite": lambda _, body: (200, self.keep(json.loads(body))),
            base + "pubkey/isvalid": lambda *_: (200, {"valid": True}),
        }

    @property
    def public_key(self):
        return puppet.unpadded(bytes(self.key.verify_key))

    def keep(self, invite):
        invite["token"] = hashlib.sha256(json.dumps(invite).encode()).hexdigest()
        self.kept.append(invite)
        validity = f"https://{self.name}/_matrix/identity/v2/pubkey/isvalid"
        return {"token": invite["token"], "display_name": SHOWN, "public_key": self.public_key,
                "public_keys": [{"public_key": self.public_key, "key_validity_url": validity}]}

    def owner(self, given):
        """Whose OpenID token it is, as the server says that made it."""
        servers = (self.world.ours, self.world.first, self.world.second)
        server = next(each for each in servers if each.name == given["matrix_server_name"])
        status, answer = self.world.plain(
            server, "GET", f"/_matrix/federation/v1/openid/userinfo?{query(access_token=given['access_token'])}")
        expect_equal(status, 200, f"whose token it is: {answer}")
        return server, answer["sub"]

    def bind(self, user):
        """The address is the user's, who proves to be that: his server is told of the invites."""
        server, owner = self.owner(user.call("POST", f"/user/{quoted(user.id)}/openid/request_token", {}))
        expect_equal(owner, user.id, "whose token it is")
        waiting = [{"address": ADDRESS, "medium": "email", "mxid": owner, "room_id": each["room_id"], "sender": each["sender"],
                    "signed": self.signed({"mxid": owner, "token": each["token"]})} for each in self.kept]
        return self.world.plain(server, "POST", "/_matrix/federation/v1/3pid/onbind", {
            "address": ADDRESS, "medium": "email", "mxid": owner, "invites": waiting})


@contextlib.contextmanager
def identity_server(scene):
    server = IdentityServer(scene.world)
    try:
        yield server
    finally:
        server.close()


def invite_address(scene, host, room, identity):
    """The host invites the address; gives the token under which the invite is kept."""
    answer = host.request("POST", f"/rooms/{quoted(room)}/invite", {
        "id_server": identity.name, "id_access_token": TOKEN, "medium": "email", "address": ADDRESS})
    expect_equal(answer.status, 200, f"the invite to an address: {answer}")
    kept = identity.kept[-1]
    expect_equal((kept["room_id"], kept["sender"], kept["address"]), (room, host.id, ADDRESS), "what the identity server keeps")
    event = host.state(room, "m.room.third_party_invite", kept["token"])
    expect_equal((event["display_name"], event["public_key"]), (SHOWN, identity.public_key), "what the room is told")
    expect(ADDRESS not in str(host.call("GET", f"/rooms/{quoted(room)}/state")), "the address is not told")
    return kept["token"]


def taken_up(scene, identity, room, token, guest, *people):
    """The invite has become the guest's, by the identity server's word, on all servers alike; the guest comes."""
    scene.invited(guest, room)
    for user in people:
        scene.membership(user, room, guest, "invite")
    state = {(each["type"], each["state_key"]): each for each in people[0].call("GET", f"/rooms/{quoted(room)}/state")}
    invite = state[("m.room.member", guest.id)]
    expect_equal(invite["sender"], people[0].id, "who invited")
    expect_equal(invite["content"]["third_party_invite"], {
        "display_name": SHOWN, "signed": identity.signed({"mxid": guest.id, "token": token})}, "what the invite says")
    guest.join(room, [people[0].server_name])
    for user in people:
        scene.membership(user, room, guest, "join")
    scene.say_and_hear(guest, people[0], room, "you wrote to my address")
    scene.same_pdu(room, invite["event_id"])
    scene.alike(room, *people, guest)


@flow("an invite to an address: the server of who has it asks the inviter's server", quick=True)
def exchanged(scene):
    host, guest = scene.people()
    room = scene.room(host)
    with identity_server(scene) as identity:
        token = invite_address(scene, host, room, identity)
        status, answer = identity.bind(guest)
        expect_equal(status, 200, f"onbind: {answer}")
        taken_up(scene, identity, room, token, guest, host)


@flow("an invite to an address: the server of who has it is in the room, and makes the invite")
def made_at_home(scene):
    host, fellow, room = scene.shared()
    guest = scene.guest.user("bound")
    with identity_server(scene) as identity:
        token = invite_address(scene, host, room, identity)
        event = next(each["event_id"] for each in host.call("GET", f"/rooms/{quoted(room)}/state")
                     if (each["type"], each["state_key"]) == ("m.room.third_party_invite", token))
        scene.state_is(fellow, room, "m.room.third_party_invite", event, token)
        status, answer = identity.bind(guest)
        expect_equal(status, 200, f"onbind: {answer}")
        taken_up(scene, identity, room, token, guest, host, fellow)


@flow("an invite to an address is not exchanged without the identity server's word, nor once it is taken back")
def not_exchanged(scene):
    host, fellow, room = scene.shared()
    guest = scene.guest.user("bound")
    neighbor = scene.host.user("neighbor")
    with identity_server(scene) as identity:
        token = invite_address(scene, host, room, identity)
        word = {"mxid": guest.id, "token": token}
        impostor = IdentityServer(scene.world)
        impostor.close()
        impostor.name = identity.name

        def exchange(signed, sender=host):
            return scene.world.signed(scene.guest, scene.host, "PUT", f"{EXCHANGE}/{quoted(room)}", {
                "type": "m.room.member", "room_id": room, "sender": sender.id, "state_key": guest.id,
                "content": {"membership": "invite", "third_party_invite": {"signed": signed}}})
        for what, signed, sender in (
                ("another key", impostor.signed(word), host), ("no signature", {**word, "signatures": {}}, host),
                ("another user", identity.signed({**word, "mxid": fellow.id}), host),
                ("an unknown token", identity.signed({**word, "token": "unknown"}), host),
                ("another inviter", identity.signed(word), neighbor)):
            status, answer = exchange(signed, sender)
            expect(status in (400, 401, 403), f"{what}: {status} {answer}")
        event = host.set_state(room, "m.room.third_party_invite", {}, token)
        status, answer = exchange(identity.signed(word))
        expect(status in (400, 401, 403), f"taken back: {status} {answer}")
        # The guest's own server, which is in the room, makes none either, whatever it answers.
        scene.state_is(fellow, room, "m.room.third_party_invite", event, token)
        identity.bind(guest)
        for user in (host, fellow):
            answer = user.request("GET", f"/rooms/{quoted(room)}/state/m.room.member/{quoted(guest.id)}")
            expect_equal(answer.status, 404, f"the guest is not invited: {answer}")
        expect(room not in rooms(guest.sync(), "invite"), "the guest is not invited")
        scene.alike(room, host, fellow)


@flow("both servers judge invites to addresses, made by hand, alike")
def judged(scene):
    """The invite needs no signature of the inviter's server: whoever is in the room may make it, and who gets it must judge.
    Spec: https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules, 5.4.1"""
    host, fellow, room = scene.shared()
    neighbor = scene.host.user("neighbor")
    host.invite(room, neighbor)
    neighbor.join(room)
    scene.membership(fellow, room, neighbor, "join")
    banned = scene.guest.user("banned")
    host.call("POST", f"/rooms/{quoted(room)}/ban", {"user_id": banned.id})
    scene.membership(fellow, room, banned, "ban")
    guest = scene.guest.user("bound")
    key, other = SigningKey.generate(), SigningKey.generate()
    event = host.set_state(room, "m.room.third_party_invite", {
        "display_name": SHOWN, "public_keys": [{"public_key": puppet.unpadded(bytes(key.verify_key))}]}, "kept")
    scene.state_is(fellow, room, "m.room.third_party_invite", event, "kept")

    def invite(word, signer=key, sender=host, target=guest):
        signature = puppet.unpadded(signer.sign(puppet.encode_canonical_json(word)).signature)
        auth = [("m.room.create", "")] * (scene.number < 12) + [
            ("m.room.power_levels", ""), ("m.room.join_rules", ""), ("m.room.member", sender.id), ("m.room.member", target.id),
            ("m.room.third_party_invite", word["token"])]
        event_id, event = scene.made(
            scene.guest, room, host, auth, type="m.room.member", sender=sender.id, state_key=target.id, content={
                "membership": "invite", "third_party_invite": {"display_name": SHOWN, "signed": {
                    **word, "signatures": {"id.example.org": {"ed25519:0": signature}}}}})
        for origin, server in ((scene.guest, scene.host), (scene.host, scene.guest)):
            scene.sent(origin, server, event)
        return event_id

    word = {"mxid": guest.id, "token": "kept"}
    wrong = [invite(word, signer=other), invite({**word, "token": "unknown"}), invite({**word, "mxid": fellow.id}),
             invite(word, sender=neighbor), invite({**word, "mxid": banned.id}, target=banned)]
    right = invite(word)
    for user in (host, fellow):
        scene.state_is(user, room, "m.room.member", right, guest.id)
        for each in wrong:
            answer = user.request("GET", f"/rooms/{quoted(room)}/event/{quoted(each)}")
            expect_equal(answer.status, 404, f"wrong invite {wrong.index(each)} at {user.server_name}: {answer}")
        expect_equal(user.state(room, "m.room.member", banned.id)["membership"], "ban")
    scene.same_pdu(room, right)
    guest.join(room)
    scene.membership(host, room, guest, "join")
    scene.alike(room, host, fellow, guest)
