"""Signing keys of servers that cannot be asked any more: a notary tells them."""
import base64
import contextlib

from nacl.signing import SigningKey

from blackbox.matrix import quoted
from blackbox.report import expect_equal

from . import flow
from .parting import HEALING
from .scene import query


def public_key(server):
    """The id of a server's key, and its public half."""
    _, version, seed = server.signing_key()
    key = SigningKey(base64.b64decode(seed + "=" * (-len(seed) % 4)))
    return f"ed25519:{version}", base64.b64encode(bytes(key.verify_key)).decode().rstrip("=")


@contextlib.contextmanager
def trusting(server, notary):
    """The server asks the notary, too, for keys of others; it starts again before and after."""
    settings = server.settings["federation"] if server.kind == "fedchatd" else server.settings
    name, value = {
        "fedchatd": ("notary", {"trusted_servers": [notary.name]}),
        "synapse": ("trusted_key_servers", [{"server_name": notary.name, "verify_keys": dict([public_key(notary)])}]),
    }[server.kind]
    usual = settings.get(name)

    def use(value):
        settings[name] = value
        if value is None:
            del settings[name]
        server.write()
        server.restart()

    use(value)
    try:
        yield
    finally:
        use(usual)


@flow("the keys of a server that is gone are asked of a notary", alone=True)
def notary(scene):
    host, guest = scene.people()
    room = scene.room(host, preset="public_chat")
    third = scene.third.user("third")
    with trusting(scene.guest, scene.host):
        # The guest's server has never seen the key with which the third signs now, and never can.
        with scene.world.network.parted(scene.guest, scene.third):
            scene.third.rotate_key()
            third.join(room, [host.server_name])
            said = [third.send(room, f"before I am gone {number}") for number in range(3)]
            topic = host.set_state(room, "m.room.topic", {"topic": "somebody was here"})
            for user in (host, third):
                scene.sees(user, room, *said, topic)
            scene.third.stop()
        try:
            key, _ = public_key(scene.third)
            status, answer = scene.world.signed(
                scene.guest, scene.host, "GET", f"/_matrix/key/v2/query/{quoted(scene.third.name)}?{query(minimum_valid_until_ts=0)}")
            expect_equal(status, 200, f"{answer}")
            told = [each for each in answer["server_keys"] if key in each["verify_keys"]]
            expect_equal([set(each["signatures"]) for each in told], [{scene.third.name, scene.host.name}], "who signed the keys")
            guest.join(room, [host.server_name])
            scene.membership(host, room, guest, "join")
            scene.membership(guest, room, third, "join")
            scene.until(lambda: [text for text in guest.bodies(room) if text] == [f"before I am gone {number}" for number in range(3)],
                        f"the guest reads what was signed: {guest.bodies(room)}")
            scene.alike(room, host, guest)
        finally:
            scene.third.start()
        # The third did not hear of the guest: what the host says next tells each of the other.
        back = third.send(room, "back again")
        scene.sees(host, room, back, seconds=HEALING)
        told = host.send(room, "somebody came meanwhile")
        for user in (guest, third):
            scene.sees(user, room, told, back, seconds=HEALING)
        scene.alike(room, host, guest, third)
