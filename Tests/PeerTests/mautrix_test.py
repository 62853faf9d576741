#!/usr/bin/env python3
"""mautrix (the library of the bridges) with its crypto, unchanged, and matrix-nio in the same rooms.

    with clients mautrix_test.py [--server fedchatd|synapse] [--database sqlite|postgres] [--keep]
"""
import asyncio
import logging
import secrets
import sys

import client_run
import nio_test
from client_run import PASSWORD, until

from blackbox.report import expect, expect_equal

import nio
from mautrix.client import Client
from mautrix.crypto import OlmMachine
from mautrix.crypto.attachments import decrypt_attachment, encrypt_attachment
from mautrix.crypto.store import PgCryptoStateStore, PgCryptoStore
from mautrix.errors import MatrixResponseError, MForbidden, MNotFound
from mautrix.types import (
    EventType, ImageInfo, MediaMessageEventContent, MessageType, PaginationDirection, PresenceState,
    ReactionEventContent, RelatesTo, RelationType, RoomCreatePreset, RoomDirectoryVisibility, TextMessageEventContent,
    TrustState)
from mautrix.util.async_db import Database

logging.disable(logging.WARNING)


class Bot:
    """A mautrix client that syncs in the background, with its stores in one SQLite file."""

    def __init__(self, server, folder, name, user=None):
        self.server, self.folder = server, folder
        self.user = user or server.user(name, PASSWORD)
        self.file = folder / f"mautrix-{secrets.token_hex(4)}.db"
        self.events, self.client, self.syncing = [], None, None

    async def log_in(self, again=None):
        """`again` is the access token and device of an earlier process."""
        self.client = Client(mxid=self.user.id, base_url=self.server.site.base_url)
        if again:
            self.client.api.token, self.client.device_id = again
        else:
            answer = await self.client.login(self.user.localpart, password=PASSWORD, device_name="mautrix", update_hs_url=False)
            expect_equal(answer.user_id, self.user.id)
        self.database = Database.create(f"sqlite:///{self.file}", upgrade_table=PgCryptoStore.upgrade_table)
        await self.database.start()
        await PgCryptoStateStore.upgrade_table.upgrade(self.database)
        store = PgCryptoStore(self.user.id, "pickle", self.database)
        await store.open()
        state = PgCryptoStateStore(self.database)
        self.client.sync_store, self.client.state_store = store, state
        machine = OlmMachine(self.client, store, state)
        await machine.load()
        if not again:
            await store.put_device_id(self.client.device_id)
        self.client.crypto = machine
        self.client.add_event_handler(EventType.ALL, self._heard)
        if not again:
            await machine.share_keys()
        self.syncing = self.client.start(None)

    async def _heard(self, event):
        self.events.append(event)

    def messages(self):
        return [(event.sender, event.content.body) for event in self.events
                if event.type == EventType.ROOM_MESSAGE and getattr(event.content, "body", None)]

    def of_type(self, kind):
        return [event for event in self.events if event.type.t == kind]

    async def say(self, room, text):
        return await self.client.send_message_event(
            room, EventType.ROOM_MESSAGE, TextMessageEventContent(msgtype=MessageType.TEXT, body=text))

    async def close(self):
        if self.client:
            self.client.stop()
            await asyncio.gather(*filter(None, [self.syncing]), return_exceptions=True)
            await self.client.api.session.close()
            await self.database.stop()
            self.client = None


class World:
    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.bot = Bot(server, folder, "bot")
        self.nina = nio_test.Person(server, folder, "nina")
        self.second, self.room = None, None

    def steps(self):
        return [
            ("mautrix logs in, uploads its keys and syncs", self.log_in),
            ("it makes an encrypted room, into which nio comes", self.make_room),
            ("each reads what the other says", self.talk),
            ("an encrypted picture goes both ways", self.media),
            ("reactions, replies, edits and redactions arrive", self.react),
            ("state, members, aliases, the directory and permissions", self.room_things),
            ("profile, presence, receipts, typing, tags and account data", self.small_things),
            ("the history is read in pages", self.history),
            ("cross-signing and secret storage are set up with a recovery key", self.recovery_key),
            ("a second device verifies itself with that key, and reads and is read", self.second_device),
            ("a process that comes back goes on where it was", self.come_back),
            ("it leaves, forgets and logs out", self.leave),
        ]

    async def log_in(self):
        await self.bot.log_in()
        versions = await self.bot.client.versions()
        expect(versions.supports(versions.latest_version), f"{versions}")
        expect_equal((await self.bot.client.whoami()).user_id, self.bot.user.id)
        await self.nina.log_in()

    async def make_room(self):
        self.room = await self.bot.client.create_room(
            preset=RoomCreatePreset.PRIVATE, name="Nook", invitees=[self.nina.user.id],
            initial_state=[{"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}])
        await self.nina.sync_until(lambda: self.room in self.nina.client.invited_rooms)
        answer = await self.nina.client.join(self.room)
        expect(isinstance(answer, nio.JoinResponse), f"join: {answer}")
        await self.nina.sync_until(lambda: self.room in self.nina.client.rooms)
        await until(lambda: any(event.state_key == self.nina.user.id and event.content.membership.value == "join"
                                for event in self.bot.of_type("m.room.member")), "mautrix sees nio join")
        expect(await self.bot.client.state_store.is_encrypted(self.room), "the room is encrypted")

    async def talk(self):
        for number in range(5):
            text = f"{number} from mautrix"
            await self.bot.say(self.room, text)
            await self.nina.sync_until(lambda: (self.bot.user.id, text, True) in self.nina.read)
            text = f"{number} from nio"
            await self.nina.say(self.room, text)
            await until(lambda: (self.nina.user.id, text) in self.bot.messages(), f"mautrix reads {text}")
        expect_equal(self.nina.unread, [], "events that nio could not read")
        sealed = [event for event in self.bot.user.all_events(self.room) if event["type"] == "m.room.message"]
        expect_equal(sealed, [], "what the server holds in the clear")

    async def media(self):
        original = secrets.token_bytes(100_000)
        sealed, keys = encrypt_attachment(original)
        keys.url = await self.bot.client.upload_media(sealed, mime_type="application/octet-stream", filename="pic.png")
        await self.bot.client.send_message_event(self.room, EventType.ROOM_MESSAGE, MediaMessageEventContent(
            msgtype=MessageType.FILE, body="pic.png", info=ImageInfo(mimetype="image/png", size=len(original)), file=keys))
        await self.nina.sync_until(lambda: self.nina.files)
        event = self.nina.files[-1]
        got = await self.nina.client.download(mxc=event.url)
        expect(nio.crypto.decrypt_attachment(got.body, event.key["k"], event.hashes["sha256"], event.iv) == original,
               "nio has what mautrix sent")
        got = await self.bot.client.download_media(keys.url)
        expect(decrypt_attachment(got, keys.key.key, keys.hashes["sha256"], keys.iv) == original, "and mautrix itself")
        made = await self.bot.client.create_mxc()
        try:
            await self.bot.client.upload_media(b"later", mime_type="text/plain", mxc=made.content_uri)
        except MatrixResponseError:
            pass        # mautrix looks for a content_uri here, of which the specification's answer has none
        expect_equal(await self.bot.client.download_media(made.content_uri), b"later", "what was announced first")

    async def react(self):
        event = await self.nina.say(self.room, "what do you think?")
        await until(lambda: any(each.event_id == event for each in self.bot.events if hasattr(each, "event_id")), "the question")
        reaction = await self.bot.client.send_message_event(self.room, EventType.REACTION, ReactionEventContent(
            relates_to=RelatesTo(rel_type=RelationType.ANNOTATION, event_id=event, key="🐈")))
        await until(lambda: any(each.event_id == reaction for each in self.bot.of_type("m.reaction")), "the reaction")
        related = self.bot.user.call("GET", f"/rooms/{self.room}/relations/{event}/m.annotation", prefix="/_matrix/client/v1")
        expect_equal([each["event_id"] for each in related["chunk"]], [reaction])
        reply = TextMessageEventContent(msgtype=MessageType.TEXT, body="this")
        reply.set_reply(event)
        await self.bot.client.send_message_event(self.room, EventType.ROOM_MESSAGE, reply)
        said = await self.bot.say(self.room, "misteak")
        edit = TextMessageEventContent(msgtype=MessageType.TEXT, body="mistake")
        edit.set_edit(said)
        await self.bot.client.send_message_event(self.room, EventType.ROOM_MESSAGE, edit)
        await self.nina.sync_until(lambda: {"this", "misteak"} <= {body for _, body, _ in self.nina.read})
        redaction = await self.bot.client.redact(self.room, reaction, reason="enough")
        await until(lambda: any(each.event_id == redaction for each in self.bot.of_type("m.room.redaction")), "the redaction")
        gone = (await self.bot.client.get_event(self.room, reaction)).serialize()
        expect_equal((gone["content"], gone["unsigned"]["redacted_because"]["event_id"]), ({}, redaction), "what is left of it")

    async def room_things(self):
        client = self.bot.client
        await client.send_state_event(self.room, EventType.ROOM_TOPIC, {"topic": "hush"})
        expect_equal((await client.get_state_event(self.room, EventType.ROOM_TOPIC)).topic, "hush")
        expect_equal(set(await client.get_joined_members(self.room)), {self.bot.user.id, self.nina.user.id})
        expect({event.type.t for event in await client.get_state(self.room)} >= {"m.room.create", "m.room.name", "m.room.encryption"},
               "the state of the room")
        name = f"nook-{secrets.token_hex(4)}"
        await client.add_room_alias(self.room, name)
        found = await client.resolve_room_alias(f"#{name}:{self.server.name}")
        expect_equal(found.room_id, self.room)
        levels = await client.get_state_event(self.room, EventType.ROOM_POWER_LEVELS)
        levels.users[self.nina.user.id] = 50
        await client.send_state_event(self.room, EventType.ROOM_POWER_LEVELS, levels)
        third = Bot(self.server, self.folder, "third")
        await client.invite_user(self.room, third.user.id)
        await client.kick_user(self.room, third.user.id, reason="no")
        await client.ban_user(self.room, third.user.id)
        try:
            await client.invite_user(self.room, third.user.id)
            raise AssertionError("a banned user was invited")
        except MForbidden:
            pass
        await client.unban_user(self.room, third.user.id)
        public = await client.create_room(preset=RoomCreatePreset.PUBLIC, name="Market", visibility=RoomDirectoryVisibility.PUBLIC)
        listed = await client.get_room_directory(limit=50)
        expect(public in [each.room_id for each in listed.chunk], "the room is in the directory")

    async def small_things(self):
        client = self.bot.client
        await client.set_displayname("Robota")
        expect_equal((await client.get_profile(self.bot.user.id)).displayname, "Robota")
        url = await client.upload_media(b"face", mime_type="image/png")
        await client.set_avatar_url(url)
        expect_equal(await client.get_avatar_url(self.bot.user.id), url)
        await client.set_presence(PresenceState.UNAVAILABLE, status="busy")
        expect_equal((await client.get_presence(self.bot.user.id)).status_msg, "busy")
        last = self.bot.user.messages(self.room, limit=1)["chunk"][0]["event_id"]
        await client.set_typing(self.room, timeout=10_000)
        await client.send_receipt(self.room, last)
        await client.set_fully_read_marker(self.room, last, last)
        await self.nina.sync_until(lambda: self.bot.user.id in self.nina.client.rooms[self.room].typing_users)
        await client.set_account_data("org.example.bot", {"a": 1})
        expect_equal(await client.get_account_data("org.example.bot"), {"a": 1})
        await client.set_room_tag(self.room, "m.favourite", {"order": 0.5})
        expect("m.favourite" in (await client.get_room_tags(self.room)).tags, "the tag")
        expect(self.nina.user.id in [each.user_id for each in (await client.search_users("nina")).results], "nina is found")
        try:
            await client.get_account_data("org.example.none")
            raise AssertionError("data that is not there was found")
        except MNotFound:
            pass

    async def history(self):
        page = await self.bot.client.get_messages(self.room, PaginationDirection.BACKWARD, limit=5)
        more = await self.bot.client.get_messages(self.room, PaginationDirection.BACKWARD, from_token=page.end, limit=5)
        ids = [event.event_id for event in page.events + more.events]
        expect_equal((len(ids), len(set(ids))), (10, 10), "two pages that do not overlap")
        around = await self.bot.client.get_event_context(self.room, ids[5], limit=4)
        expect_equal(around.event.event_id, ids[5])

    async def recovery_key(self):
        self.recovery = await self.bot.client.crypto.generate_recovery_key()
        keys = await self.bot.client.crypto.get_own_cross_signing_public_keys()
        found = self.nina.user.call("POST", "/keys/query", {"device_keys": {self.bot.user.id: []}})
        expect(f"ed25519:{keys.master_key}" in found["master_keys"][self.bot.user.id]["keys"], "the master key is there for all")
        signatures = found["device_keys"][self.bot.user.id][self.bot.client.device_id]["signatures"][self.bot.user.id]
        expect(f"ed25519:{keys.self_signing_key}" in signatures, "the device is signed")

    async def second_device(self):
        self.second = Bot(self.server, self.folder, "bot", self.bot.user)
        await self.second.log_in()
        await self.second.client.crypto.verify_with_recovery_key(self.recovery)
        device = await self.bot.client.crypto.get_or_fetch_device(self.bot.user.id, self.second.client.device_id)
        await self.bot.client.crypto._fetch_keys([self.bot.user.id], include_untracked=True)
        device = await self.bot.client.crypto.get_or_fetch_device(self.bot.user.id, self.second.client.device_id)
        trust = await self.bot.client.crypto.resolve_trust(device)
        expect(trust >= TrustState.CROSS_SIGNED_TOFU, f"the first device sees the second one signed: {trust}")
        await self.nina.sync_until(
            lambda: len(list(self.nina.client.device_store.active_user_devices(self.bot.user.id))) == 2)
        await self.nina.say(self.room, "for both of you")
        for each in (self.bot, self.second):
            await until(lambda: (self.nina.user.id, "for both of you") in each.messages(), "both devices read it")
        await self.second.say(self.room, "from the second")
        await self.nina.sync_until(lambda: (self.bot.user.id, "from the second", True) in self.nina.read)
        await until(lambda: (self.bot.user.id, "from the second") in self.bot.messages(), "the first device reads the second")

    async def come_back(self):
        again = self.bot.client.api.token, self.bot.client.device_id
        await self.bot.close()
        await self.nina.say(self.room, "while you were out")
        self.bot.events = []
        await self.bot.log_in(again)
        await until(lambda: (self.nina.user.id, "while you were out") in self.bot.messages(), "what was said meanwhile")
        await self.bot.say(self.room, "back")
        await self.nina.sync_until(lambda: (self.bot.user.id, "back", True) in self.nina.read)

    async def leave(self):
        await self.bot.client.leave_room(self.room)
        await self.bot.client.forget_room(self.room)
        expect(self.room not in await self.bot.client.get_joined_rooms(), "it has left")
        self.bot.client.stop()
        await self.second.client.logout_all(clear_access_token=False)
        expect_equal(self.bot.user.site.request("GET", "/_matrix/client/v3/account/whoami", token=self.bot.client.api.token).status, 401)

    async def close(self):
        for each in (self.bot, self.second):
            if each:
                await each.close()
        await self.nina.client.close()


if __name__ == "__main__":
    sys.exit(client_run.main(__doc__, World))
