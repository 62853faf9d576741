#!/usr/bin/env python3
"""One encrypted room on two servers, ours and Synapse: fedchat, matrix-nio, mautrix and the Rust SDK, unchanged; each reads
each.

    with clients fedchat_room.py [--table FILE] [--keep]
"""
import asyncio
import datetime
import json
import pathlib
import subprocess
import sys

import mautrix_test
import nio
import nio_test
from client_run import PASSWORD
from synapse_server import Synapse

from blackbox import script
from blackbox.certificates import Authority
from blackbox.people import Person
from blackbox.report import Run, expect
from blackbox.servers import Fedchatd

here = pathlib.Path(__file__).resolve().parent
ROUNDS = 3


class OfFedchat:
    program = "fedchat"

    def __init__(self, server, folder, name):
        self.person = Person(name, server, folder / "people", PASSWORD)
        self.id = self.person.id

    async def begin(self):
        await asyncio.to_thread(self.person.register)
        await asyncio.to_thread(self.person.do, "cross-signing", "bootstrap", "--password-file", self.person.password_file)

    async def join(self, room):
        await asyncio.to_thread(self.person.do, "join", room)

    async def say(self, room, text):
        await asyncio.to_thread(self.person.do, "send", room, "-m", text)

    async def reads(self, room, said):
        heard = await asyncio.to_thread(self.person.hear_texts, room, [text for _, text in said])
        expect(set(said) <= set(heard), f"{self.id} hears {heard}")

    async def close(self):
        self.person.close()


class OfNio:
    program = "matrix-nio"

    def __init__(self, server, folder, name):
        self.person = nio_test.Person(server, folder, name)
        self.id = self.person.user.id

    async def begin(self):
        await self.person.log_in()

    async def join(self, room):
        await self.person.sync_until(lambda: room in self.person.client.invited_rooms)
        answer = await self.person.client.join(room)
        expect(isinstance(answer, nio.JoinResponse), f"join: {answer}")
        await self.person.sync_until(lambda: room in self.person.client.rooms)

    async def settle(self, room, count):
        await self.person.sync_until(lambda: len(self.person.client.rooms[room].users) == count)

    async def say(self, room, text):
        await self.person.sync()
        await self.person.say(room, text)
        await self.person.sync()

    async def reads(self, room, said):
        wanted = [(sender, text, True) for sender, text in said if sender != self.id]
        await self.person.sync_until(lambda: all(each in self.person.read for each in wanted))

    async def close(self):
        await self.person.client.close()


class OfMautrix:
    program = "mautrix"

    def __init__(self, server, folder, name):
        self.bot = mautrix_test.Bot(server, folder, name)
        self.id = self.bot.user.id

    async def begin(self):
        await self.bot.log_in()

    async def join(self, room):
        await self.bot.client.join_room(room)

    async def say(self, room, text):
        await self.bot.say(room, text)

    async def reads(self, room, said):
        wanted = [each for each in said if each[0] != self.id]
        for _ in range(400):
            if all(each in self.bot.messages() for each in wanted):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.id} has {self.bot.messages()}")

    async def close(self):
        await self.bot.close()


class OfRustSDK:
    program = "Rust SDK"

    def __init__(self, server, folder, name):
        self.server, self.folder, self.user = server, folder, server.user(name, PASSWORD)
        self.id = self.user.id

    async def ask(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
        await self.process.stdin.drain()
        answer = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 60))
        expect("error" not in answer, f"{self.id}: {what}: {answer}")

    async def begin(self):
        self.process = await asyncio.create_subprocess_exec(
            here / "with", "rustsdk", here / "rust_sdk_peer.py", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            limit=1 << 20)
        await self.ask("log_in", base_url=self.server.site.base_url, folder=str(self.folder), user_id=self.id,
                       localpart=self.user.localpart, token=self.user.token)

    async def join(self, room):
        await self.ask("join", room=room)

    async def say(self, room, text):
        await self.ask("say", room=room, text=text)

    async def reads(self, room, said):
        for sender, text in said:
            await self.ask("reads", room=room, sender=sender, text=text)

    async def close(self):
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except asyncio.TimeoutError:
            self.process.kill()


async def talk(run, ours, synapse, folder):
    """Returns the table: who read whom."""
    people = [OfFedchat(ours, folder, "alice"), OfFedchat(synapse, folder, "frida"), OfNio(ours, folder, "nora"),
              OfNio(synapse, folder, "nina"), OfMautrix(ours, folder, "mona"), OfMautrix(synapse, folder, "mila"),
              OfRustSDK(ours, folder, "rosa"), OfRustSDK(synapse, folder, "rita")]
    maker, table = people[0], {}
    try:
        for person in people:
            await person.begin()
        room = (await asyncio.to_thread(maker.person.ask, "create", "--name", "All"))["room_id"]
        for person in people[1:]:
            await asyncio.to_thread(maker.person.do, "invite", room, person.id)
            await person.join(room)
        for person in people:
            if isinstance(person, OfNio):
                await person.settle(room, len(people))
        await asyncio.sleep(3)      # each learns of the others' devices
        said = []
        for number in range(ROUNDS):
            for person in people:
                text = f"{number}: {person.program} on {person.id} says ünverändert 🫖"
                await person.say(room, text)
                said.append((person.id, text))
        for reader in people:
            for writer in people:
                if reader is writer:
                    continue
                failed = []
                try:
                    await asyncio.wait_for(reader.reads(room, [each for each in said if each[0] == writer.id]), 90)
                except Exception as error:
                    failed.append(error)

                def outcome():
                    if failed:
                        raise failed[0]

                where = ["ours" if person.id.endswith(ours.name) else "Synapse" for person in (reader, writer)]
                run.one(f"{reader.program} on {where[0]} reads {writer.program} on {where[1]}", outcome)
                table[(f"{reader.program}, {where[0]}", f"{writer.program}, {where[1]}")] = 0 if failed else ROUNDS
    finally:
        for person in people:
            try:
                await person.close()
            except Exception as error:
                print(f"closing {person.program}: {error}")
    return table


def write(table, path):
    names = list(dict.fromkeys(reader for reader, _ in table))
    lines = ["| reads ↓ writes → | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for reader in names:
        cells = ["–" if reader == writer else f"{table[(reader, writer)]} of {ROUNDS}" for writer in names]
        lines.append(f"| {reader} | " + " | ".join(cells) + " |")
    path.write_text(f"# One encrypted room, four programs, two servers, {datetime.date.today()}\n\n"
                    "`Tests/PeerTests/with clients Tests/PeerTests/fedchat_room.py`: messages that each read of each.\n\n"
                    + "\n".join(lines) + "\n")


def main():
    options, run = script.options(__doc__, "keep", "table").parse_args(), Run()
    with script.folder("room", options.keep) as folder:
        authority = Authority(folder / "ca")
        with Fedchatd(folder / "ours", authority) as ours, Synapse(folder / "synapse", authority) as synapse:
            table = asyncio.run(talk(run, ours, synapse, folder))
            if options.table:
                write(table, script.dated(options.table))
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
