#!/usr/bin/env python3
"""matrix-commander, unchanged, as somebody at a terminal uses it, with matrix-nio in the same rooms.

    with clients matrix_commander.py [--server fedchatd|synapse] [--database sqlite|postgres] [--keep]

matrix-commander takes only room ids with exactly one colon. So the rooms are of version 11 (those of version 12 have none),
and the server's name is without a port.
"""
import asyncio
import json
import os
import pathlib
import secrets
import sys

import client_run
import nio_test
from client_run import PASSWORD

from blackbox.matrix import quoted
from blackbox.report import expect, expect_equal

import nio

PROGRAM = pathlib.Path(sys.executable).parent / "matrix-commander"


class Terminal:
    """One device of a person who types commands."""

    def __init__(self, server, folder, user):
        self.server, self.user = server, user
        self.folder = folder / f"commander-{secrets.token_hex(4)}"
        self.folder.mkdir()

    async def run(self, *arguments, seconds=40):
        """What the command says, and its exit status."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "--credentials", self.folder / "credentials.json", "--store", self.folder / "store", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"})
        try:
            said, problem = await asyncio.wait_for(process.communicate(), seconds)
        finally:
            if process.returncode is None:
                process.kill()
        return said.decode(), problem.decode(), process.returncode

    async def do(self, *arguments):
        said, problem, status = await self.run(*map(str, arguments))
        expect(status == 0 and "ERROR" not in problem,
               f"matrix-commander {' '.join(map(str, arguments))}: exit {status}\n{said[-500:]}\n{problem[-1500:]}")
        return said.strip()

    async def ask(self, *arguments):
        return json.loads(await self.do(*arguments, "--output", "json"))

    async def log_in(self, room):
        await self.do("--login", "password", "--homeserver", self.server.site.base_url, "--user-login", self.user.id,
                      "--password", PASSWORD, "--device", "terminal", "--room-default", room)
        credentials = json.loads((self.folder / "credentials.json").read_text())
        expect_equal(credentials["user_id"], self.user.id)
        self.device = credentials["device_id"]


def with_colons(server):
    server.name = server.settings["server_name"] = "commander.test"
    if server.kind == "synapse":
        server.settings["default_room_version"] = "11"
    else:
        server.settings["rooms"]["default_version"] = "11"


class World:
    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.typist = Terminal(server, folder, server.user("typist", PASSWORD))
        self.nina = nio_test.Person(server, folder, "nina")
        self.room = None

    def steps(self):
        return [
            ("matrix-commander logs in with a password", self.log_in),
            ("it makes an encrypted room, into which nio comes", self.make_room),
            ("nio reads what it sends, and it reads what nio says", self.talk),
            ("files go up, come down, and into the room", self.files),
            ("profiles, devices, members, aliases, visibility and state are told", self.questions),
            ("a reaction and a redaction are sent, an invitation is taken", self.events),
            ("keys are exported to a file, and a second device imports them", self.keys),
            ("people are invited, kicked, banned; the room is left and forgotten", self.people),
            ("it logs out everywhere", self.log_out),
        ]

    async def log_in(self):
        await self.nina.log_in()
        # The program stops at a device without a name, which the one that the test itself uses would be.
        user = self.typist.user
        user.call("PUT", f"/devices/{user.device}", {"display_name": "test"})
        self.nina.user.call("PUT", f"/devices/{self.nina.user.device}", {"display_name": "test"})
        waiting = self.typist.user.create_room(name="Waiting room")
        await self.typist.log_in(waiting)
        expect_equal((await self.typist.do("--whoami")).splitlines()[-1], self.typist.user.id)

    async def make_room(self):
        alias = f"nook{secrets.token_hex(3)}"
        said = await self.typist.ask("--room-create", alias, "--name", "Nook", "--topic", "hush", "--encrypted")
        self.room = said["room_id"]
        await self.typist.do("--room-invite", self.room, "--user", self.nina.user.id)
        await self.nina.sync_until(lambda: self.room in self.nina.client.invited_rooms)
        answer = await self.nina.client.join(self.room)
        expect(isinstance(answer, nio.JoinResponse), f"join: {answer}")
        await self.nina.sync_until(lambda: self.room in self.nina.client.rooms)
        expect(self.nina.client.rooms[self.room].encrypted, "the room is encrypted")
        self.alias = f"#{alias}:{self.server.name}"

    async def heard(self):
        """What the program prints of the newest messages."""
        return await self.typist.do("--listen", "tail", "--tail", "10", "--room", self.room, "--listen-self")

    async def talk(self):
        await self.typist.do("--room", self.room, "--message", "hello from a terminal", "second line ünverändert 🫖")
        await self.nina.sync_until(lambda: {"hello from a terminal", "second line ünverändert 🫖"} <= {
            body for _, body, encrypted in self.nina.read if encrypted})
        await self.typist.do("--room", self.room, "--markdown", "--message", "**bold**")
        await self.typist.do("--room", self.room, "--notice", "--message", "a notice")
        await self.nina.say(self.room, "hello from nio")
        expect("hello from nio" in await self.typist.do("--listen", "once"), "what nio said while nobody listened")
        await self.nina.say(self.room, "and once more")
        heard = await self.heard()
        expect("and once more" in heard, heard)
        expect_equal(self.nina.unread, [], "events that nio could not read")

    async def files(self):
        original = secrets.token_bytes(50_000)
        path = self.typist.folder / "plan.bin"
        path.write_bytes(original)
        await self.typist.do("--room", self.room, "--file", path)
        await self.nina.sync_until(lambda: self.nina.files)
        event = self.nina.files[-1]
        got = await self.nina.client.download(mxc=event.url)
        expect(nio.crypto.decrypt_attachment(got.body, event.key["k"], event.hashes["sha256"], event.iv) == original,
               "nio has the file as it was sent")
        uri = next(word for word in (await self.typist.do("--upload", path, "--plain")).split() if word.startswith("mxc://"))
        await self.typist.do("--download", uri, "--file-name", self.typist.folder / "back.bin", "--plain")
        expect((self.typist.folder / "back.bin").read_bytes() == original, "it comes down as it went up")
        folder = self.typist.folder / "media"
        folder.mkdir()
        sent = secrets.token_bytes(20_000)
        (self.typist.folder / "other.bin").write_bytes(sent)
        await self.typist.do("--room", self.room, "--file", self.typist.folder / "other.bin")
        await self.typist.do("--listen", "tail", "--tail", "3", "--room", self.room, "--listen-self", "--download-media", folder)
        expect(any(each.read_bytes() == sent for each in folder.iterdir()), "a listener has the file, opened")

    async def questions(self):
        do, ask = self.typist.do, self.typist.ask
        await do("--set-display-name", "Typist")
        expect("Typist" in await do("--get-display-name"), "the name")
        expect("Typist" in await do("--get-profile"), "the profile")
        devices = await do("--devices", "--output", "json")
        expect(self.typist.device in devices, devices)
        await do("--set-device-name", "green screen")      # it says device_name, which is no field: nothing changes
        members = await do("--joined-members", self.room)
        expect(self.nina.user.id in members and self.typist.user.id in members, members)
        expect(self.room in await do("--joined-rooms"), "the rooms")
        expect(self.room in await do("--room-resolve-alias", self.alias), "the alias")
        other = f"#other{secrets.token_hex(3)}:{self.server.name}"
        await do("--room-set-alias", other, self.room)
        await do("--room-delete-alias", other)
        expect("private" in await do("--room-get-visibility", self.room), "the visibility")
        expect("m.room.encryption" in await do("--room-get-state", self.room), "the state")
        expect("Nook" in await do("--get-room-info", self.room), "about the room")
        await do("--set-presence", "unavailable")
        expect("unavailable" in await do("--get-presence"), "the presence")
        expect("m.login.password" in await do("--login-info"), "the ways in")
        expect(self.server.name in await do("--get-openid-token"), "an OpenID token")
        expect(str((await ask("--content-repository-config"))["upload_size"]) != "0", "the size of uploads")
        face = self.typist.folder / "face.png"
        face.write_bytes(b"\x89PNG\r\n\x1a\n")
        uri = next(word for word in (await do("--upload", face, "--plain")).split() if word.startswith("mxc://"))
        await do("--set-avatar", uri)
        expect(uri in await do("--get-avatar"), "the avatar")
        versions = await do("--rest", "GET", "", "__homeserver__/_matrix/client/versions", "--output", "json")
        expect("v1.11" in versions, versions)

    async def events(self):
        event = await self.nina.say(self.room, "good?")
        reaction = {"type": "m.reaction", "content": {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": "👍"}}}
        file = self.typist.folder / "reaction.json"
        file.write_text(json.dumps(reaction))
        await self.typist.do("--room", self.room, "--event", file)
        found = self.nina.user.call("GET", f"/rooms/{quoted(self.room)}/relations/{quoted(event)}/m.annotation",
                                    prefix="/_matrix/client/v1")["chunk"]
        expect_equal([each["sender"] for each in found], [self.typist.user.id])
        await self.typist.do("--room-redact", self.room, found[0]["event_id"], "a slip")
        found = self.nina.user.call("GET", f"/rooms/{quoted(self.room)}/relations/{quoted(event)}/m.annotation",
                                    prefix="/_matrix/client/v1")["chunk"]
        expect_equal(found, [])
        asked = self.nina.user.create_room(name="Nina's", invite=[self.typist.user.id])
        expect(asked in await self.typist.do("--room-invites", "list+join"), "the invitation")
        expect(asked in await self.typist.do("--joined-rooms"), "it has come")

    async def keys(self):
        file = self.typist.folder / "keys"
        await self.typist.do("--export-keys", file, "a passphrase")
        second = Terminal(self.server, self.folder, self.typist.user)
        await second.log_in(self.room)
        await second.do("--import-keys", file, "a passphrase")
        expect(second.device in await self.typist.do("--devices"), "both devices are listed")
        answer, problem, status = await self.typist.run("--delete-device", second.device, "--password", PASSWORD)
        expect_equal(status, 0, problem)
        expect(second.device not in await self.typist.do("--devices"), "the second device is gone")

    async def people(self):
        other = self.server.user("other", PASSWORD)
        await self.typist.do("--room-invite", self.room, "--user", other.id)
        await self.typist.do("--room-kick", self.room, "--user", other.id)
        await self.typist.do("--room-ban", self.room, "--user", other.id)
        expect_equal(self.typist.user.state(self.room, "m.room.member", other.id)["membership"], "ban")
        await self.typist.do("--room-unban", self.room, "--user", other.id)
        public = self.nina.user.create_room(preset="public_chat")
        await self.typist.do("--room-join", public)
        await self.typist.do("--room-leave", public)
        await self.typist.do("--room-forget", public)
        expect(public not in await self.typist.do("--joined-rooms"), "left")

    async def log_out(self):
        await self.typist.do("--logout", "all")
        expect_equal(self.server.site.request("GET", "/_matrix/client/v3/account/whoami", token=self.typist.user.token).status, 401)

    async def close(self):
        await self.nina.client.close()


if __name__ == "__main__":
    sys.exit(client_run.main(__doc__, World, seconds=120, prepare=with_colons))
