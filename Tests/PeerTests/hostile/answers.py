"""The other server's answers to what ours asks."""
from blackbox.matrix import quoted
from blackbox.processes import bytes_resident
from blackbox.report import expect, expect_equal

from . import ours_alone


def spaces(world):
    """A space of nonsense does no harm, and what the puppet may not see it is not told."""
    ours_alone(world, "Synapse believes nothing of an answer of which a part is nonsense")
    user, server = world.server.user(), world.server
    space = user.create_room(preset="public_chat", creation_content={"type": "m.space"})
    far = f"!space:{world.puppet.name}"
    user.set_state(space, "m.space.child", {"via": [world.puppet.name]}, far)
    secret = user.create_room(preset="private_chat")
    user.set_state(space, "m.space.child", {"via": [server.name]}, secret)

    def hierarchy(room=space):
        return user.call("GET", f"/rooms/{quoted(room)}/hierarchy", prefix="/_matrix/client/v1")["rooms"]

    rooms = [{"room": {"room_id": far, "room_type": "m.space", "join_rule": "public", "num_joined_members": 1, "world_readable": True,
                       "guest_can_join": False, "children_state": [
                           {"type": "m.space.child", "state_key": far, "sender": "@x:y", "content": {"via": [world.puppet.name]}, "origin_server_ts": 1},
                           {"type": "m.space.child", "state_key": 7, "content": [], "origin_server_ts": "now"}, None]},
              "children": [7, {"room_id": space}, {"room_id": "nonsense"}], "inaccessible_children": [None, secret]},
             {"room": {"room_id": "!other:elsewhere.example.org"}, "children": {}, "inaccessible_children": 3}, [], 7]
    answers = iter(rooms)
    world.puppet.answers[r"/_matrix/federation/v1/hierarchy/"] = lambda *_: (200, next(answers, {}))
    found = [room["room_id"] for room in hierarchy()]
    expect_equal(found, [space, far, secret])
    del world.puppet.answers[r"/_matrix/federation/v1/hierarchy/"]
    status, told = world.puppet.request(server, "GET", f"/_matrix/federation/v1/hierarchy/{quoted(space)}")
    expect_equal((status, told["room"]["room_id"], told["children"], told["inaccessible_children"]), (200, space, [], [secret]))
    for room in (secret, "!nowhere:example.org"):
        status, answer = world.puppet.request(server, "GET", f"/_matrix/federation/v1/hierarchy/{quoted(room)}")
        expect_equal((status, answer["errcode"]), (404, "M_NOT_FOUND"))


def huge_answers(world):
    """The puppet answers a profile query with far more than a profile: an error, and no memory lost."""
    user = world.server.user()
    before = bytes_resident(world.server.process.id)
    world.puppet.answers[r"/_matrix/federation/v1/query/profile"] = lambda match, body: (200, b'{"displayname":"' + b"x" * 300_000_000 + b'"}')
    try:
        answer = user.request("GET", f"/profile/{quoted('@huge:' + world.puppet.name)}")
        expect(answer.status >= 400, f"{answer.status}")
    finally:
        world.puppet.answers.clear()
    if world.server.kind == "fedchatd":
        grown = bytes_resident(world.server.process.id) - before
        expect(grown < 100_000_000, f"{grown} bytes more")


def nonsense_answers(world):
    user = world.server.user()
    for number, (status, data) in enumerate(((200, b"{"), (200, b"[]"), (200, b'{"displayname":7}'), (500, b"oops"), (302, b""), (200, b"\xff" * 1000),
                                             (200, b"[" * 100_000), (404, b'{"errcode":7}'))):
        world.puppet.answers[r"/_matrix/federation/v1/query/profile"] = lambda match, body: (status, data)
        answer = user.request("GET", f"/profile/{quoted(f'@nonsense{number}:' + world.puppet.name)}")
        expect(answer.status in (200, 404, 403, 500, 502, 504), f"{data[:20]}: {answer}")
        if world.server.kind == "fedchatd":
            expect(answer.status != 500, f"{data[:20]}: {answer}")
    world.puppet.answers.clear()


CASES = [
    ("spaces of nonsense do no harm", spaces),
    ("an answer without end costs no memory", huge_answers),
    ("answers that are nonsense are no answers", nonsense_answers),
]
