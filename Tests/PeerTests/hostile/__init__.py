"""What a hostile server does. A case is a function of a `World`; each module lists its own in CASES."""
import json
import time

from blackbox.report import Skipped, eventually, expect, expect_equal


class World:
    def __init__(self, server, puppet):
        self.server, self.puppet = server, puppet

    def room(self, version="12", **more):
        """A local user's public room that the puppet has joined."""
        user = self.server.user()
        room = user.create_room(preset="public_chat", room_version=version, **more)
        return user, self.puppet.join(self.server, room)

    def still_there(self, user, room):
        """The server goes on: a right event of the puppet arrives, and a local one is sent."""
        event = room.text("still there")
        status, answer = room.say(event)
        expect_equal(status, 200, f"{answer}")
        shown(user, room, "still there")
        user.send(room.id, "so are we")


def ours_alone(world, why):
    if world.server.kind != "fedchatd":
        raise Skipped(why)


def expect_sober(world, what, status, answer):
    """The mistake is the sender's, and the server says so, or takes no notice."""
    allowed = (200, 400, 413) if world.server.kind == "fedchatd" else (200, 400, 413, 500)
    expect(status in allowed, f"{what}: {status} {answer}")


def shown(user, room, body, count=1):
    eventually(lambda: user.bodies(room.id).count(body) == count, f"{body!r} is shown {count} times")


def not_shown(user, room, body):
    time.sleep(0.3)
    expect(body not in json.dumps(user.all_events(room.id)), f"{body!r} is shown")
