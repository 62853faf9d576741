#!/usr/bin/env python3
"""fedchat and matrix-nio, unchanged, in one encrypted room: each reads what the other sends.

    fedchat_nio.py [--server fedchatd|synapse] [--peer synapse] [--keep]

With `--peer` nio's user is on a server of its own, and keys and messages cross the federation.
"""
import asyncio
import contextlib
import sys

import nio_test      # puts blackbox on the path

from blackbox import script
from blackbox.certificates import Authority
from blackbox.people import Person
from blackbox.report import Run, expect, expect_equal
from blackbox.servers import of_kind
from blackbox.verifying import Verifying

import nio


class World:
    """Alice types fedchat commands, Nina uses matrix-nio; later cases go on from what earlier ones left."""

    def __init__(self, server, folder, peer):
        self.server, self.folder = server, folder
        self.alice = Person("alice", server, folder / "people").register()
        self.nina, self.room, self.said = nio_test.Person(peer, folder, "nina"), None, []

    async def fedchat(self, function, *arguments):
        """fedchat blocks: nio goes on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)

    async def invited(self):
        await self.nina.log_in()
        self.room = (await self.fedchat(self.alice.ask, "create", "--name", "Nook"))["room_id"]
        await self.fedchat(self.alice.do, "invite", self.room, self.nina.user.id)
        await self.nina.sync_until(lambda: self.room in self.nina.client.invited_rooms)
        answer = await self.nina.client.join(self.room)
        expect(isinstance(answer, nio.JoinResponse), f"join: {answer}")
        await self.nina.sync_until(lambda: self.room in self.nina.client.rooms)
        expect(self.nina.client.rooms[self.room].encrypted, "fedchat makes an encrypted room")

    async def to_nio(self, text):
        await self.fedchat(self.alice.do, "send", self.room, "-m", text)
        await self.nina.sync_until(lambda: (self.alice.id, text, True) in self.nina.read)
        self.said.append(text)

    async def from_nio(self, text):
        await self.nina.say(self.room, text)
        self.said.append(text)
        heard = await self.fedchat(self.alice.hear_texts, self.room, self.said)
        expect((self.nina.user.id, text) in heard, f"fedchat hears {heard}")

    async def talk(self):
        for number in range(4):
            await self.to_nio(f"{number}: from fedchat ünverändert 🫖")
            await self.from_nio(f"{number}: from nio ünverändert 🫖")
        expect_equal(self.nina.unread, [], "events that nio could not read")

    async def killed(self):
        """fedchat's daemon ends between messages; ratchets go on where they were."""
        for number in range(3):
            self.alice.end_daemon()
            await self.to_nio(f"after end {number}")
            await self.from_nio(f"answer {number}")
        expect_equal(self.nina.unread, [], "events that nio could not read")

    async def at_once(self):
        texts = [f"at once {number}" for number in range(10)]
        await asyncio.gather(*(self.fedchat(self.alice.do, "send", self.room, "-m", text) for text in texts))
        await self.nina.sync_until(lambda: all((self.alice.id, text, True) in self.nina.read for text in texts))

    async def nio_room(self):
        answer = await self.nina.client.room_create(
            name="Parlor", invite=[self.alice.id], initial_state=[nio.EnableEncryptionBuilder().as_dict()])
        expect(isinstance(answer, nio.RoomCreateResponse), f"create: {answer}")
        self.room, self.said = answer.room_id, []
        await self.nina.sync_until(lambda: self.room in self.nina.client.rooms)
        await self.fedchat(self.alice.do, "join", self.room)
        await self.nina.sync_until(lambda: len(self.nina.client.rooms[self.room].users) == 2)
        await self.from_nio("welcome")
        await self.to_nio("thank you")

    async def many(self):
        """Past the 100 messages after which a Megolm session is replaced."""
        texts = [f"many {number}" for number in range(105)]
        for start in range(0, len(texts), 7):       # a sync without a filter brings ten events
            batch = texts[start:start + 7]
            await asyncio.gather(
                *(self.fedchat(self.alice.do, "send", self.room, "-m", text) for text in batch))
            await self.nina.sync_until(lambda: all((self.alice.id, text, True) in self.nina.read for text in batch))

    async def second_device(self):
        """A second fedchat of the same user reads what is said from then on, by all."""
        await self.fedchat(
            self.alice.do, "login", "--profile", "second", "--homeserver", self.server.site.base_url, "--user",
            self.alice.name, "--password-file", self.alice.password_file)
        await self.nina.sync_until(
            lambda: len(list(self.nina.client.device_store.active_user_devices(self.alice.id))) == 2)

        def listen():
            return self.alice.run(
                "listen", self.room, "--json", "--since", "start", "--no-follow", "--profile", "second").stdout

        async def heard(text):
            return text in await self.fedchat(listen)

        # The first device learns of the second by a sync: until then what it says is not for it.
        for number in range(10):
            await self.to_nio(f"to all my devices {number}")
            if await heard(f"to all my devices {number}"):
                break
        else:
            raise AssertionError("the second device reads nothing of what the first says")
        await self.from_nio("to both of you")
        for _ in range(10):
            if await heard("to both of you"):
                return
        raise AssertionError("the second device does not read what nio says")

    async def verification(self):
        """nio writes its commitment in hexadecimal, where the specification has base64: it refuses ours. Nobody is verified
        by a verification that is not one."""
        verifying = await self.fedchat(Verifying, self.alice, self.nina.user.id, "--incoming")
        await asyncio.sleep(1)
        device = next(iter(self.nina.client.device_store.active_user_devices(self.alice.id)))
        answer = await self.nina.client.start_key_verification(device)
        expect(isinstance(answer, nio.ToDeviceResponse), f"start: {answer}")
        for _ in range(20):
            await self.nina.sync(500)
            if verifying.process.poll() is not None:
                break
        sas = next(iter(self.nina.client.key_verifications.values()), None)
        expect(verifying.process.poll() is not None, f"{verifying.steps}; nio: {sas and (sas.state, sas.cancel_code)}")
        await self.fedchat(verifying.end, 4)
        expect_equal(verifying.step("cancelled")["code"], "m.mismatched_commitment")
        expect("verified" not in [step["step"] for step in verifying.steps], f"{verifying.steps}")


CASES = [
    ("nio is invited into fedchat's encrypted room", World.invited),
    ("each reads what the other says", World.talk),
    ("a verification by emoji ends without trust: nio commits otherwise", World.verification),
    ("fedchat's daemon ends in between", World.killed),
    ("ten messages at once reach nio", World.at_once),
    ("fedchat joins an encrypted room that nio made", World.nio_room),
    ("a hundred messages and more, over a change of session", World.many),
    ("a second fedchat device reads both", World.second_device),
]


def main():
    options = script.options(__doc__, "server", "keep")
    options.add_argument("--peer", choices=["synapse"], help="who serves nio's user, if not the same")
    options, run = options.parse_args(), Run()
    with script.folder("fedchatnio", options.keep) as folder:
        authority = Authority(folder / "ca")
        server = of_kind(options.server, folder / "server", authority)
        peer = of_kind(options.peer, folder / "peer", authority) if options.peer else contextlib.nullcontext(server)
        with server, peer as other, asyncio.Runner() as runner:
            world = World(server, folder, other)
            for sentence, step in CASES:
                run.one(sentence, lambda: runner.run(step(world)))
            runner.run(world.nina.client.close())
            world.alice.close()
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
