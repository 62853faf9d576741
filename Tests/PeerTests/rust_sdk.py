#!/usr/bin/env python3
"""The Rust SDK (of Element X, Fractal, iamb), by its Python bindings, unchanged, on a server under test.

    with rustsdk rust_sdk.py [--server fedchatd|synapse] [--database sqlite|postgres] [--classic] [--keep]

It syncs as Element X does, with the room list of sliding sync; with --classic by /v3/sync.
"""
import asyncio
import secrets
import sys

import client_run
from client_run import PASSWORD, until
from rust_sdk_person import Person, Progress, stirred, variant

from blackbox.matrix import quoted
from blackbox.report import expect, expect_equal

import matrix_sdk_python as sdk


class World:
    def __init__(self, server, folder, given):
        self.server, self.folder, self.classic = server, folder, "classic" in given
        self.alice, self.bob = (self.person(server.user(name, PASSWORD)) for name in ("alice", "bob"))
        self.everybody = [self.alice, self.bob]
        self.room = None

    def person(self, user):
        return Person(self.server, self.folder, user, self.classic)

    def steps(self):
        steps = [
            ("two people log in, their identity is made", self.log_in),
            ("the room list has all rooms, the one that moved last first", self.room_list),
            ("a new encrypted room is made, and joined by who was invited", self.make_room),
            ("each reads what the other says", self.talk),
            ("reactions, replies, edits, redactions and read receipts show in the timeline", self.react),
            ("a file goes encrypted, and a name, a topic and a typing notice come", self.room_things),
            ("a long history is paged back", self.history),
            ("recovery is set up: secret storage and a backup of the room keys", self.recovery),
            ("a second device is verified by emoji, and both trust each other", self.second_device),
            ("a third device recovers with the key, and reads the old messages from the backup", self.third_device),
            ("two users verify each other by emoji", self.verify_users),
            ("profiles, the directory, aliases, previews and notification settings", self.asking),
            ("somebody leaves and forgets; a device logs out", self.leave),
        ]
        return [step for step in steps if not (self.classic and step[1] == self.room_list)]

    async def log_in(self):
        for person in self.everybody:
            await person.log_in()
            if not self.classic:
                expect_equal(person.client.sliding_sync_version(), sdk.SlidingSyncVersion.NATIVE, "sliding sync is found")
            await until(lambda: person.encryption.verification_state() == sdk.VerificationState.VERIFIED,
                        "the first device signs itself")
            found = self.server.site.call("POST", "/keys/query", {"device_keys": {person.user.id: []}}, person.user.token)
            expect(person.user.id in found["master_keys"] and person.user.id in found["self_signing_keys"], "the keys are there")

    async def room_list(self):
        rooms = [self.alice.user.create_room(name=f"Room {number}") for number in range(25)]
        await until(lambda: set(rooms) <= set(self.alice.listed()), lambda: f"all rooms; there are {len(self.alice.listed())}")
        other = self.bob.user
        self.alice.user.invite(rooms[3], other)
        other.join(rooms[3])
        other.send(rooms[3], "look here")
        await until(lambda: self.alice.listed()[:1] == [rooms[3]], "the room where something was said is first")
        invited = other.create_room(name="Come", invite=[self.alice.user.id])
        await until(lambda: invited in self.alice.listed(), "an invitation is in the list")
        expect_equal((await self.alice.room(invited)).membership(), sdk.Membership.INVITED)
        await (await self.alice.room(invited)).leave()
        await until(lambda: invited not in self.alice.listed(), "what was declined is not")

    async def make_room(self):
        self.room = await self.alice.client.create_room(sdk.CreateRoomParameters(
            name="Nook", is_encrypted=True, visibility=sdk.RoomVisibility.PRIVATE(), preset=sdk.RoomPreset.PRIVATE_CHAT,
            invite=[self.bob.user.id]))
        asked = await self.bob.room(self.room)
        await until(lambda: asked.membership() == sdk.Membership.INVITED, "bob is invited")
        await asked.join()
        for person in self.everybody:
            room = await person.room(self.room)
            await until(lambda: room.joined_members_count() == 2, lambda: f"two members, not {room.joined_members_count()}")
            expect(await room.is_encrypted(), "the room is encrypted")
            await until(lambda: room.display_name() == "Nook", lambda: f"its name, not {room.display_name()}")

    async def talk(self):
        for number in range(5):
            for speaker, listener in ((self.alice, self.bob), (self.bob, self.alice)):
                text = f"{number} from {speaker.user.localpart} ünverändert 🫖"
                await speaker.say(self.room, text)
                await listener.reads(self.room, speaker, text)
        for person in self.everybody:
            expect_equal((await person.timeline(self.room))[1].sealed(), [], "events that could not be read")
        bodies = [event for event in self.alice.user.all_events(self.room) if event["type"] == "m.room.message"]
        expect_equal(bodies, [], "what the server holds in the clear")

    async def react(self):
        await self.bob.say(self.room, "tea?")
        await self.alice.reads(self.room, self.bob, "tea?")
        (mine, seen), (_, theirs) = await self.alice.timeline(self.room), await self.bob.timeline(self.room)
        event, _ = seen.find("tea?")
        await until(lambda: variant(seen.find("tea?")[0].event_or_transaction_id) == "EVENT_ID", "the event has an id")
        await mine.toggle_reaction(event.event_or_transaction_id, "👍")
        await until(lambda: [each.key for each in theirs.find("tea?")[1].reactions] == ["👍"], "bob sees the reaction")
        await mine.toggle_reaction(event.event_or_transaction_id, "👍")
        await until(lambda: not theirs.find("tea?")[1].reactions, "and that it is gone")
        await mine.send_reply(sdk.message_event_content_from_markdown("yes"), event.event_or_transaction_id.event_id)
        await until(lambda: theirs.find("yes") and theirs.find("yes")[1].in_reply_to, "the reply")
        await until(lambda: variant(seen.find("yes")[0].event_or_transaction_id) == "EVENT_ID", "it is sent")
        await mine.edit(seen.find("yes")[0].event_or_transaction_id, sdk.EditedContent.ROOM_MESSAGE(
            sdk.message_event_content_from_markdown("yes please")))
        await until(lambda: theirs.find("yes please") and theirs.find("yes please")[1].kind.content.is_edited, "the edit")
        await mine.send_read_receipt(sdk.ReceiptType.READ, theirs.find("yes please")[0].event_or_transaction_id.event_id)
        await mine.redact_event(seen.find("yes please")[0].event_or_transaction_id, "no, coffee")
        await until(lambda: not theirs.find("yes please"), "the redaction")

    async def room_things(self):
        timeline, _ = await self.alice.timeline(self.room)
        original = secrets.token_bytes(60_000)
        await timeline.send_file(
            sdk.UploadParameters(source=sdk.UploadSource.DATA(original, "plan.bin"), caption=None, formatted_caption=None, mentions=None,
                                 in_reply_to=None),
            sdk.FileInfo(mimetype="application/octet-stream", size=len(original), thumbnail_info=None, thumbnail_source=None)).join()
        await self.bob.reads(self.room, self.alice, "plan.bin")
        _, seen = await self.bob.timeline(self.room)
        source = seen.find("plan.bin")[1].kind.content.msg_type.content.source
        expect(await self.bob.client.get_media_content(source) == original, "the file is what was sent")
        hers, his = await self.alice.room(self.room), await self.bob.room(self.room)
        await hers.set_name("Corner")
        await hers.set_topic("tea")
        await until(lambda: (his.display_name(), his.topic()) == ("Corner", "tea"), lambda: f"{his.display_name()} {his.topic()}")
        typing = Typing()
        self.bob.handles.append(his.subscribe_to_typing_notifications(typing))
        await hers.typing_notice(True)
        await until(lambda: [self.alice.user.id] in typing.seen, "who types")
        await hers.set_is_favourite(True, None)
        while not (await hers.room_info()).is_favourite:
            await asyncio.sleep(0.1)

    async def history(self):
        room = self.alice.user.create_room(name="Long")
        sent = [self.alice.user.send(room, f"line {number}") for number in range(120)]
        timeline, seen = await self.alice.timeline(room)
        wanted = [f"line {number}" for number in range(len(sent))]
        whole = 0
        for _ in range(100):        # a sync in between leaves a gap, behind which is paged again
            await timeline.paginate_backwards(30)
            await asyncio.sleep(0.1)
            whole = whole + 1 if [text for _, text in seen.texts()] == wanted else 0
            if whole == 10:
                return
        expect_equal([text for _, text in seen.texts()][::-1], wanted[::-1], "all lines in order")

    async def recovery(self):
        encryption = self.alice.encryption
        self.key = await encryption.enable_recovery(True, None, Progress())
        await until(lambda: encryption.recovery_state() == sdk.RecoveryState.ENABLED, lambda: f"{encryption.recovery_state()}")
        await until(lambda: encryption.backup_state() == sdk.BackupState.ENABLED, lambda: f"{encryption.backup_state()}")
        expect(await encryption.backup_exists_on_server(), "the backup is on the server")
        version = self.alice.user.call("GET", "/room_keys/version")
        expect(version["count"] > 0, f"room keys are in it: {version}")

    async def match(self, asking, asked, request):
        """A verification by emoji from the request to its end."""
        for person in (asking, asked):
            person.verifying.forget()
        await request()
        await asked.accept_verification()
        await until(lambda: "accepted" in asking.verifying.told, "it is accepted")
        await asking.controller.start_sas_verification()
        await until(lambda: asking.verifying.emojis and asked.verifying.emojis, "both see emoji")
        expect_equal(asking.verifying.emojis, asked.verifying.emojis, "the same emoji")
        expect_equal(len(asked.verifying.emojis), 7)
        await asking.controller.approve_verification()
        await asked.controller.approve_verification()
        await until(lambda: "finished" in asking.verifying.told and "finished" in asked.verifying.told,
                    lambda: f"{asking.verifying.told} {asked.verifying.told}")

    async def second_device(self):
        self.second = await self.person(self.alice.user).log_in()
        self.everybody.append(self.second)
        await until(lambda: self.second.encryption.verification_state() == sdk.VerificationState.UNVERIFIED, "not verified yet")
        expect(await self.second.encryption.has_devices_to_verify_against(), "there is a device to verify against")
        await asyncio.sleep(3)      # the first device asks for the keys of the new one, without which it ignores the request
        await self.match(self.second, self.alice, self.second.controller.request_device_verification)
        await until(lambda: self.second.encryption.verification_state() == sdk.VerificationState.VERIFIED, "verified")
        await until(lambda: self.second.encryption.backup_state() == sdk.BackupState.ENABLED,
                    lambda: f"the key of the backup came along: {self.second.encryption.backup_state()}")
        await self.bob.say(self.room, "for both of you")
        await self.second.reads(self.room, self.bob, "for both of you")
        await self.second.say(self.room, "from my second device")
        await self.bob.reads(self.room, self.alice, "from my second device")

    async def third_device(self):
        await self.alice.encryption.wait_for_backup_upload_steady_state(None)
        third = await self.person(self.alice.user).log_in()
        self.everybody.append(third)
        await until(lambda: third.encryption.recovery_state() == sdk.RecoveryState.INCOMPLETE, lambda: f"{third.encryption.recovery_state()}")
        await third.encryption.recover(self.key)
        await until(lambda: third.encryption.recovery_state() == sdk.RecoveryState.ENABLED, lambda: f"{third.encryption.recovery_state()}")
        await until(lambda: third.encryption.verification_state() == sdk.VerificationState.VERIFIED, "the key signs the device")
        timeline, _ = await third.timeline(self.room)
        for _ in range(10):
            if await timeline.paginate_backwards(50):
                break
        await third.reads(self.room, self.bob, "0 from bob1 ünverändert 🫖".replace("bob1", self.bob.user.localpart))
        await third.reads(self.room, self.alice, "from my second device")

    async def verify_users(self):
        direct = await self.bob.client.create_room(sdk.CreateRoomParameters(
            name=None, is_encrypted=True, is_direct=True, visibility=sdk.RoomVisibility.PRIVATE(),
            preset=sdk.RoomPreset.TRUSTED_PRIVATE_CHAT, invite=[self.alice.user.id]))
        asked = await self.alice.room(direct)
        await until(lambda: asked.membership() == sdk.Membership.INVITED, "alice is invited to talk with bob")
        await asked.join()
        await until(lambda: self.bob.client.get_dm_room(self.alice.user.id), "bob's SDK knows that it is their room")
        for person in (self.alice, self.bob):
            await person.timeline(direct)       # opened: of other rooms only the last event comes
        identity = await self.bob.encryption.user_identity(self.alice.user.id, True)
        expect(not identity.is_verified(), "nobody is verified without a verification")
        async with stirred(self.alice, self.bob):
            await self.match(self.bob, self.alice, lambda: self.bob.controller.request_user_verification(self.alice.user.id))
            for person, other in ((self.bob, self.alice), (self.alice, self.bob)):
                await person.trusts(other.user.id)

    async def asking(self):
        client = self.alice.client
        await client.set_display_name("Alice")
        expect_equal((await self.bob.client.get_profile(self.alice.user.id)).display_name, "Alice")
        found = await self.bob.client.search_users("alice", 5)
        expect(self.alice.user.id in [each.user_id for each in found.results], "alice is found")
        alias = f"#market{secrets.token_hex(3)}:{self.server.name}"
        expect(await client.is_room_alias_available(alias), "the alias is free")
        market = self.alice.user.create_room(preset="public_chat", name="Market", visibility="public", room_alias_name=alias[1:].split(":")[0])
        expect_equal((await client.resolve_room_alias(alias)).room_id, market)
        preview = await self.bob.client.get_room_preview_from_room_alias(alias)
        expect_equal((preview.info().name, preview.info().num_joined_members), ("Market", 1))
        joined = await self.bob.client.join_room_by_id_or_alias(alias, [])
        expect_equal(joined.id(), market)
        expect(await client.get_max_media_upload_size() > 1_000_000, "the size of uploads")
        expect((await client.request_openid_token()).access_token, "an OpenID token")
        await client.set_account_data("org.example.sdk", '{"a":1}')
        expect_equal(self.alice.user.call("GET", f"/user/{quoted(self.alice.user.id)}/account_data/org.example.sdk"), {"a": 1})
        await client.ignore_user(self.bob.user.id)
        await client.unignore_user(self.bob.user.id)
        settings = await client.get_notification_settings()
        await settings.set_room_notification_mode(self.room, sdk.RoomNotificationMode.MENTIONS_AND_KEYWORDS_ONLY)
        rules = self.alice.user.call("GET", "/pushrules/")["global"]
        expect(self.room in [rule["rule_id"] for rule in rules["room"]], "a rule for the room")

    async def leave(self):
        room = await self.bob.room(self.room)
        await room.leave()
        await room.forget()
        expect(self.room not in self.bob.user.call("GET", "/joined_rooms")["joined_rooms"], "bob has left")
        hers = await self.alice.room(self.room)
        await until(lambda: hers.joined_members_count() == 1, lambda: f"alice sees it: {hers.joined_members_count()}")
        before = len(self.alice.user.call("GET", "/devices")["devices"])
        await self.second.client.logout()
        expect_equal(len(self.alice.user.call("GET", "/devices")["devices"]), before - 1)

    async def close(self):
        for person in self.everybody:
            try:
                await person.close()
            except sdk.ClientError:
                pass


class Typing:
    def __init__(self):
        self.seen = []

    def call(self, typing_user_ids):
        self.seen.append(typing_user_ids)


if __name__ == "__main__":
    sys.exit(client_run.main(__doc__, World, more=["classic"]))
