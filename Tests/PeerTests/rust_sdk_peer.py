#!/usr/bin/env python3
"""The Rust SDK as a peer that speaks lines of JSON, for scripts that run in another set of packages.

Standard input: {"do": "log_in", "base_url": …, "folder": …, "user_id": …, "localpart": …, "token": …}, {"do": "join", "room": …},
{"do": "say", "room": …, "text": …}, {"do": "reads", "room": …, "sender": …, "text": …}. Each is answered by one line, {} or
{"error": …}.
"""
import asyncio
import json
import pathlib
import sys
import types

from client_run import until
from rust_sdk_person import Person


class Peer:
    async def log_in(self, base_url, folder, user_id, localpart, token):
        server = types.SimpleNamespace(site=types.SimpleNamespace(base_url=base_url))
        user = types.SimpleNamespace(id=user_id, localpart=localpart, token=token)
        self.person = await Person(server, pathlib.Path(folder), user, False).log_in()

    async def join(self, room):
        await self.person.client.join_room_by_id(room)
        await self.person.timeline(room)

    async def say(self, room, text):
        await self.person.say(room, text)

    async def reads(self, room, sender, text):
        _, seen = await self.person.timeline(room)
        await until(lambda: (sender, text) in seen.texts(), lambda: f"{text!r}: it has {seen.texts()}, {len(seen.sealed())} sealed")


async def main():
    peer, loop = Peer(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        try:
            await getattr(peer, command.pop("do"))(**command)
            answer = {}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    await peer.person.close()


if __name__ == "__main__":
    asyncio.run(main())
