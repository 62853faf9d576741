#!/usr/bin/env python3
"""matrix-nio, unchanged, on a server under test: log in, an encrypted room, messages and attachments both ways.

    nio_test.py [--server fedchatd|synapse] [--database sqlite|postgres] [--keep]
"""
import asyncio
import io
import secrets
import sys

import client_run                       # puts blackbox on the path
from client_run import PASSWORD

from blackbox.report import expect, expect_equal

import nio
from nio.crypto import decrypt_attachment


class Person:
    """A nio client with its own store, and the messages and files that it could read."""

    def __init__(self, server, folder, name):
        self.user = server.user(name, PASSWORD)
        store = folder / f"store-{self.user.localpart}"
        store.mkdir()
        self.store = store
        self.server = server
        self.client = self._client()
        self.read, self.files, self.unread = [], [], []

    def _client(self):
        client = nio.AsyncClient(
            self.server.site.base_url, self.user.id, store_path=str(self.store),
            config=nio.AsyncClientConfig(store_sync_tokens=True, encryption_enabled=True))
        client.add_event_callback(self._on_text, nio.RoomMessageText)
        client.add_event_callback(self._on_file, nio.RoomEncryptedFile)
        client.add_event_callback(self._on_unread, nio.MegolmEvent)
        return client

    def _on_text(self, room, event):
        self.read.append((event.sender, event.body, event.decrypted))

    def _on_file(self, room, event):
        self.files.append(event)

    def _on_unread(self, room, event):
        self.unread.append(event.event_id)

    async def log_in(self):
        answer = await self.client.login(PASSWORD, device_name="nio")
        expect(isinstance(answer, nio.LoginResponse), f"login: {answer}")
        await self.sync()

    async def sync(self, timeout=0):
        answer = await self.client.sync(timeout=timeout, full_state=False)
        expect(isinstance(answer, nio.SyncResponse), f"sync: {answer}")
        if self.client.should_upload_keys:
            answer = await self.client.keys_upload()
            expect(isinstance(answer, nio.KeysUploadResponse), f"keys upload: {answer}")
        if self.client.should_query_keys:
            answer = await self.client.keys_query()
            expect(isinstance(answer, nio.KeysQueryResponse), f"keys query: {answer}")
        if self.client.should_claim_keys:
            answer = await self.client.keys_claim(self.client.get_users_for_key_claiming())
            expect(isinstance(answer, nio.KeysClaimResponse), f"keys claim: {answer}")
        await self.client.send_to_device_messages()

    async def sync_until(self, holds, seconds=20):
        end = asyncio.get_running_loop().time() + seconds
        while not holds():
            expect(asyncio.get_running_loop().time() < end, f"{self.user.id} never saw it; unread: {self.unread}")
            await self.sync(1000)

    async def say(self, room, text):
        answer = await self.client.room_send(
            room, "m.room.message", {"msgtype": "m.text", "body": text}, ignore_unverified_devices=True)
        expect(isinstance(answer, nio.RoomSendResponse), f"send: {answer}")
        return answer.event_id


class World:
    """Two people in one encrypted room; later cases go on from what earlier ones left."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.alice, self.bob, self.room = None, None, None

    def steps(self):
        return (
            ("two people log in and upload their keys", self.log_in),
            ("one makes an encrypted room, the other joins", self.make_room),
            ("both send and read encrypted messages", self.talk),
            ("the server holds no message in the clear", self.kept_secret),
            ("an encrypted attachment goes up and comes down", self.attach),
            ("the history is read in pages", self.page),
            ("typing, markers, names, members, devices, state, redaction", self.small_things),
            ("a device comes back with its store", self.come_back),
            ("a new device reads what follows", self.new_device),
            ("one leaves and logs out", self.leave),
        )

    async def log_in(self):
        self.alice, self.bob = (Person(self.server, self.folder, name) for name in ("alice", "bob"))
        for person in (self.alice, self.bob):
            await person.log_in()
            expect(person.client.olm_account_shared, "the device keys are uploaded")

    async def make_room(self):
        answer = await self.alice.client.room_create(
            name="Nook", invite=[self.bob.user.id],
            initial_state=[nio.EnableEncryptionBuilder().as_dict()])
        expect(isinstance(answer, nio.RoomCreateResponse), f"create: {answer}")
        self.room = answer.room_id
        await self.bob.sync_until(lambda: self.room in self.bob.client.invited_rooms)
        answer = await self.bob.client.join(self.room)
        expect(isinstance(answer, nio.JoinResponse), f"join: {answer}")
        for person in (self.alice, self.bob):
            await person.sync_until(lambda: self.room in person.client.rooms)
            await person.sync_until(lambda: len(person.client.rooms[self.room].users) == 2)
            expect(person.client.rooms[self.room].encrypted, "the room is encrypted")
            expect_equal(person.client.rooms[self.room].display_name, "Nook")

    async def talk(self):
        for number in range(5):
            for speaker, listener in ((self.alice, self.bob), (self.bob, self.alice)):
                text = f"{number}: a secret of {speaker.user.localpart}"
                await speaker.say(self.room, text)
                await listener.sync_until(lambda: (speaker.user.id, text, True) in listener.read)
        expect_equal(self.alice.unread + self.bob.unread, [], "events that could not be decrypted")

    async def kept_secret(self):
        bodies = [event for event in self.alice.user.all_events(self.room) if event["type"] == "m.room.message"]
        expect_equal(bodies, [], "what the server holds in the clear")

    async def attach(self):
        original = secrets.token_bytes(200_000)
        answer, keys = await self.alice.client.upload(
            lambda *_: io.BytesIO(original), content_type="application/octet-stream", filename="plan.bin", encrypt=True,
            filesize=len(original))
        expect(isinstance(answer, nio.UploadResponse), f"upload: {answer}")
        sent = await self.alice.client.room_send(self.room, "m.room.message", {
            "msgtype": "m.file", "body": "plan.bin", "info": {"size": len(original)},
            "file": {"url": answer.content_uri, **keys}}, ignore_unverified_devices=True)
        expect(isinstance(sent, nio.RoomSendResponse), f"send: {sent}")
        await self.bob.sync_until(lambda: self.bob.files)
        event = self.bob.files[-1]
        expect_equal(event.url, answer.content_uri)
        got = await self.bob.client.download(mxc=event.url)
        expect(isinstance(got, nio.DownloadResponse), f"download: {got}")
        expect(original not in got.body, "the server holds the file encrypted")
        plain = decrypt_attachment(got.body, event.key["k"], event.hashes["sha256"], event.iv)
        expect(plain == original, "the file is what was sent")

    async def page(self):
        answer = await self.bob.client.room_messages(self.room, limit=5)
        expect(isinstance(answer, nio.RoomMessagesResponse), f"messages: {answer}")
        expect_equal(len(answer.chunk), 5)
        more = await self.bob.client.room_messages(self.room, start=answer.end, limit=5)
        expect(isinstance(more, nio.RoomMessagesResponse), f"messages: {more}")
        ids = [event.event_id for event in answer.chunk + more.chunk]
        expect_equal(len(set(ids)), 10, "two pages do not overlap")

    async def small_things(self):
        answer = await self.bob.client.room_typing(self.room, True)
        expect(isinstance(answer, nio.RoomTypingResponse), f"typing: {answer}")
        await self.alice.sync_until(lambda: self.bob.user.id in self.alice.client.rooms[self.room].typing_users)
        event = await self.alice.say(self.room, "seen?")
        answer = await self.bob.client.room_read_markers(self.room, event, event)
        expect(isinstance(answer, nio.RoomReadMarkersResponse), f"read markers: {answer}")
        answer = await self.bob.client.set_displayname("Bob the Builder")
        expect(isinstance(answer, nio.ProfileSetDisplayNameResponse), f"display name: {answer}")
        await self.alice.sync_until(
            lambda: self.alice.client.rooms[self.room].user_name(self.bob.user.id) == "Bob the Builder")
        answer = await self.alice.client.joined_members(self.room)
        expect(isinstance(answer, nio.JoinedMembersResponse), f"members: {answer}")
        answer = await self.alice.client.devices()
        expect(isinstance(answer, nio.DevicesResponse), f"devices: {answer}")
        answer = await self.alice.client.room_put_state(self.room, "m.room.topic", {"topic": "hush"})
        expect(isinstance(answer, nio.RoomPutStateResponse), f"state: {answer}")
        answer = await self.alice.client.room_get_state_event(self.room, "m.room.topic")
        expect_equal(answer.content, {"topic": "hush"})
        answer = await self.alice.client.room_redact(self.room, event, reason="enough")
        expect(isinstance(answer, nio.RoomRedactResponse), f"redact: {answer}")

    async def come_back(self):
        """A new process of the same device: its store, its token, and what was said meanwhile."""
        login = self.bob.client.access_token, self.bob.client.device_id
        await self.bob.client.close()
        await self.alice.say(self.room, "while you were out")
        self.bob.client = self.bob._client()
        self.bob.client.restore_login(self.bob.user.id, login[1], login[0])
        await self.bob.sync_until(lambda: (self.alice.user.id, "while you were out", True) in self.bob.read)

    async def new_device(self):
        """Bob's second device cannot read what was said before, and can read what is said after."""
        second = Person.__new__(Person)
        second.user, second.server = self.bob.user, self.server
        second.store = self.folder / "store-second"
        second.store.mkdir()
        second.read, second.files, second.unread = [], [], []
        second.client = second._client()
        await second.log_in()
        await self.alice.sync_until(
            lambda: len(self.alice.client.device_store[self.bob.user.id]) >= 2
            if self.bob.user.id in self.alice.client.device_store.users else False)
        await self.alice.say(self.room, "for all your devices")
        try:
            await second.sync_until(lambda: (self.alice.user.id, "for all your devices", True) in second.read)
        finally:
            await second.client.close()

    async def leave(self):
        answer = await self.bob.client.room_leave(self.room)
        expect(isinstance(answer, nio.RoomLeaveResponse), f"leave: {answer}")
        await self.alice.sync_until(lambda: len(self.alice.client.rooms[self.room].users) == 1)
        answer = await self.bob.client.logout()
        expect(isinstance(answer, nio.LogoutResponse), f"logout: {answer}")

    async def close(self):
        for person in (self.alice, self.bob):
            if person:
                await person.client.close()


if __name__ == "__main__":
    sys.exit(client_run.main(__doc__, World))
