"""A person with the Rust SDK: one device, what it sees of rooms, and its side of a verification."""
import asyncio
import contextlib
import itertools
import secrets

from client_run import PASSWORD, until

import matrix_sdk_python as sdk
from matrix_sdk_python._generated.matrix_sdk import BackupDownloadStrategy


def variant(value):
    """The name of the case of a Rust enumeration."""
    return type(value).__name__.rsplit(".", 1)[-1]


class Entries:
    """A list that is kept as the updates say; the listener of a timeline and of a room list."""

    def __init__(self):
        self.entries = []

    def on_update(self, updates):
        for update in updates:
            kind = variant(update)
            if kind == "RESET":
                self.entries = list(update.values)
            elif kind == "APPEND":
                self.entries += update.values
            elif kind == "CLEAR":
                self.entries = []
            elif kind == "PUSH_FRONT":
                self.entries.insert(0, update.value)
            elif kind == "PUSH_BACK":
                self.entries.append(update.value)
            elif kind == "POP_FRONT":
                del self.entries[0]
            elif kind == "POP_BACK":
                del self.entries[-1]
            elif kind == "INSERT":
                self.entries.insert(update.index, update.value)
            elif kind == "SET":
                self.entries[update.index] = update.value
            elif kind == "REMOVE":
                del self.entries[update.index]
            elif kind == "TRUNCATE":
                del self.entries[update.length:]
            else:
                raise AssertionError(f"an update that nobody knows: {kind}")


class Timeline(Entries):
    """What a person sees of a room."""

    def events(self):
        return [event for event in (item.as_event() for item in self.entries) if event]

    def likes(self):
        """Events that are like messages, with what they are."""
        return [(event, event.content.content) for event in self.events() if variant(event.content) == "MSG_LIKE"]

    def texts(self):
        return [(event.sender, content.kind.content.body) for event, content in self.likes()
                if variant(content.kind) == "MESSAGE"]

    def find(self, body):
        return next(((event, content) for event, content in self.likes()
                     if variant(content.kind) == "MESSAGE" and content.kind.content.body == body), None)

    def sealed(self):
        return [event for event, content in self.likes() if variant(content.kind) == "UNABLE_TO_DECRYPT"]


class Verifying:
    """The side of a person in a verification: says yes to everything, and keeps what it sees."""

    def __init__(self):
        self.forget()

    def forget(self):
        """Another one begins."""
        self.requests, self.told, self.emojis = [], [], None

    def did_receive_verification_request(self, details):
        self.requests.append(details)

    def did_accept_verification_request(self):
        self.told.append("accepted")

    def did_start_sas_verification(self):
        self.told.append("started")

    def did_receive_verification_data(self, data):
        self.emojis = [emoji.symbol() for emoji in data.emojis]

    def did_fail(self):
        self.told.append("failed")

    def did_cancel(self):
        self.told.append("cancelled")

    def did_finish(self):
        self.told.append("finished")


class Progress:
    def __init__(self):
        self.seen = []

    def on_update(self, status):
        self.seen.append(status)


class Person:
    """One device."""

    def __init__(self, server, folder, user, classic):
        self.server, self.user, self.classic = server, user, classic
        self.folder = folder / f"sdk-{secrets.token_hex(4)}"
        self.timelines, self.service, self.handles = {}, None, []
        self.rooms = Entries()

    async def log_in(self):
        for name in ("data", "cache"):
            (self.folder / name).mkdir(parents=True)
        builder = (sdk.ClientBuilder().homeserver_url(self.server.site.base_url)
                   .sqlite_store(sdk.SqliteStoreBuilder(str(self.folder / "data"), str(self.folder / "cache")))
                   .sliding_sync_version_builder(
                       sdk.SlidingSyncVersionBuilder.NONE if self.classic else sdk.SlidingSyncVersionBuilder.DISCOVER_NATIVE)
                   .auto_enable_cross_signing(True).auto_enable_backups(True)
                   .backup_download_strategy(BackupDownloadStrategy.AFTER_DECRYPTION_FAILURE))
        self.client = await builder.build()
        await self.client.login(self.user.localpart, PASSWORD, "sdk", None)
        await self.start()
        self.encryption = self.client.encryption()
        await self.encryption.wait_for_e2ee_initialization_tasks()
        self.verifying = Verifying()
        self.controller = await self.controller_when_ready()
        self.controller.set_delegate(self.verifying)
        return self

    async def controller_when_ready(self, seconds=20):
        """There is one as soon as the identity is known, which needs a sync or two."""
        for _ in range(seconds * 10):
            try:
                return await self.client.get_session_verification_controller()
            except sdk.ClientError:
                await asyncio.sleep(0.1)
        return await self.client.get_session_verification_controller()

    async def start(self):
        if self.classic:
            self.handles.append(self.client.sync_v2(sdk.SyncSettingsV2(timeout_ms=2000), Listener()))
            return
        self.service = await self.client.sync_service().finish()
        await self.service.start()
        room_list = await self.service.room_list_service().all_rooms()
        result = room_list.entries_with_dynamic_adapters(50, self.rooms)
        result.controller().set_filter(sdk.RoomListEntriesDynamicFilterKind.NON_LEFT())
        self.handles += [room_list, result, result.entries_stream()]

    def listed(self):
        return [room.id() for room in self.rooms.entries]

    async def room(self, room):
        await until(lambda: self.client.get_room(room), f"{self.user.id} knows {room}")
        return self.client.get_room(room)

    async def timeline(self, room):
        if room not in self.timelines:
            if self.service:
                await self.service.room_list_service().subscribe_to_rooms([room])
            timeline, seen = await (await self.room(room)).timeline(), Timeline()
            self.handles.append(await timeline.add_listener(seen))
            self.timelines[room] = (timeline, seen)
        return self.timelines[room]

    async def say(self, room, text):
        timeline, _ = await self.timeline(room)
        await timeline.send(sdk.message_event_content_from_markdown(text))

    async def reads(self, room, sender, text):
        _, seen = await self.timeline(room)
        await until(lambda: (sender.user.id, text) in seen.texts(),
                    lambda: f"{self.user.id} reads {text!r}; it has {seen.texts()}, {len(seen.sealed())} sealed")

    async def accept_verification(self, what="the request arrives"):
        """Waits until somebody asks, and says yes."""
        await until(lambda: self.verifying.requests, what)
        details = self.verifying.requests[-1]
        await self.controller.acknowledge_verification_request(details.sender_profile.user_id, details.flow_id)
        await self.controller.accept_verification_request()

    async def trusts(self, user):
        """Waits until a user, by id, is verified."""
        for _ in range(100):        # the signature is uploaded, and comes back with the keys
            if (await self.encryption.user_identity(user, True)).is_verified():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.user.id} does not trust {user}")

    async def close(self):
        for handle in self.handles:
            if isinstance(handle, sdk.TaskHandle):
                handle.cancel()
        if self.service:
            await self.service.stop()


@contextlib.asynccontextmanager
async def stirred(*people):
    """The SDK sends what a verification in a room wants to say after its sync of to-device messages has answered, which
    without such messages is each half minute. So there are some."""
    async def stir():
        for number in itertools.count():
            await asyncio.sleep(0.3)
            for person in people:
                path = f"/sendToDevice/org.example.stir/{number}"
                await asyncio.to_thread(person.user.call, "PUT", path, {"messages": {person.user.id: {"*": {}}}})

    stirring = asyncio.create_task(stir())
    try:
        yield
    finally:
        stirring.cancel()


class Listener:
    """Of a sync whose answers the SDK itself works through."""

    def on_update(self, response):
        pass

    def on_error(self, error):
        pass
