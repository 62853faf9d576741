#!/usr/bin/env python3
"""fedchat and the Rust SDK (of Element X), unchanged: they verify each other, and recover each other's accounts.

    with rustsdk fedchat_rustsdk.py [--server fedchatd|synapse] [--database sqlite|postgres] [--keep]
"""
import asyncio
import sys

import client_run
from client_run import PASSWORD, until
from rust_sdk_person import Person as Device, Progress, stirred

from blackbox.people import Person
from blackbox.report import expect, expect_equal
from blackbox.verifying import Verifying

import matrix_sdk_python as sdk


class World:
    """Alice has fedchat, Bob the SDK; each has the other program as a second device later."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.bob = Device(server, folder, server.user("bob", PASSWORD), False)
        self.alice = Person("alice", server, folder / "people", PASSWORD)
        self.fedchats, self.people, self.room = [self.alice], [self.bob], None

    def steps(self):
        return [
            ("both make their identity", self.log_in),
            ("each reads the other in an encrypted room", self.talk),
            ("fedchat asks, the SDK accepts: the same emoji, and each trusts the other", self.fedchat_asks),
            ("the SDK asks fedchat: codes that differ verify nobody", self.mismatch),
            ("the SDK asks fedchat: codes that are the same do", self.sdk_asks),
            ("an account made by fedchat is recovered in the SDK, with its old messages", self.sdk_recovers),
            ("an account made by the SDK is recovered in fedchat, with its old messages", self.fedchat_recovers),
            ("a wrong recovery key opens nothing", self.wrong_key),
            ("fedchat as a new device is verified by the SDK's, and gets its secrets", self.new_device),
        ]

    async def fedchat(self, function, *arguments, **more):
        """fedchat blocks: the SDK goes on meanwhile."""
        return await asyncio.to_thread(function, *arguments, **more)

    async def log_in(self):
        await self.bob.log_in()
        await self.fedchat(self.alice.register)
        await self.fedchat(self.alice.do, "cross-signing", "bootstrap", "--password-file", self.alice.password_file)
        status = await self.fedchat(self.alice.ask, "cross-signing", "status")
        expect(status["trusted"] and status["device_signed"], f"{status}")
        await until(lambda: self.bob.encryption.verification_state() == sdk.VerificationState.VERIFIED, "bob's device is signed")

    async def talk(self):
        answer = await self.fedchat(self.alice.do, "send", self.bob.user.id, "-m", "hello from fedchat")
        expect(answer.startswith("$"), answer)
        await until(lambda: any(room.membership() == sdk.Membership.INVITED for room in self.bob.client.rooms()), "bob is invited")
        room = next(room for room in self.bob.client.rooms() if room.membership() == sdk.Membership.INVITED)
        await room.join()
        self.room = room.id()
        await self.fedchat(self.alice.do, "send", self.room, "-m", "second from fedchat")
        _, seen = await self.bob.timeline(self.room)
        await until(lambda: (self.alice.id, "second from fedchat") in seen.texts(), lambda: f"bob reads; {seen.texts()}, {len(seen.sealed())} sealed")
        await self.bob.say(self.room, "hello from the SDK")
        await self.fedchat(self.alice.hear_texts, self.room, ["hello from the SDK"])

    async def compare(self, verifying, match=True):
        bob = self.bob
        await until(lambda: bob.verifying.emojis, lambda: f"the SDK sees emoji: {bob.verifying.told} {verifying.steps}")
        expect_equal(await self.fedchat(verifying.emoji), bob.verifying.emojis, "the same emoji")
        if match:
            await bob.controller.approve_verification()
        await self.fedchat(verifying.say, match)

    async def fedchat_asks(self):
        async with stirred(self.bob):
            verifying = await self.asked_by_fedchat(self.alice, self.bob.user.id)
            expect("identity" in verifying.effects(), f"{verifying.steps}")
            await until(lambda: "finished" in self.bob.verifying.told, lambda: f"{self.bob.verifying.told}")
            await self.bob.trusts(self.alice.id)

    async def asked_by_fedchat(self, person, *arguments):
        """The SDK says yes to all of it."""
        self.bob.verifying.forget()
        verifying = await self.fedchat(Verifying, person, *arguments)
        await self.bob.accept_verification(lambda: f"the request arrives; {verifying.steps}")
        await self.compare(verifying)
        await self.fedchat(verifying.end)
        return verifying

    async def asked_by_sdk(self, match):
        """Carol, on fedchat too, is asked; the direct room is one that the SDK made."""
        self.bob.verifying.forget()
        verifying = await self.fedchat(Verifying, self.carol, self.bob.user.id, "--incoming")
        await asyncio.sleep(1)
        await self.bob.controller.request_user_verification(self.carol.id)
        await until(lambda: "accepted" in self.bob.verifying.told, lambda: f"accepted: {self.bob.verifying.told} {verifying.steps}")
        await self.bob.controller.start_sas_verification()
        await self.compare(verifying, match)
        await self.fedchat(verifying.end, 0 if match else 4)
        return verifying

    async def mismatch(self):
        self.carol = Person("carol", self.server, self.folder / "people", PASSWORD)
        self.fedchats.append(self.carol)
        await self.fedchat(self.carol.register)
        await self.fedchat(self.carol.do, "cross-signing", "bootstrap")
        direct = await self.bob.client.create_room(sdk.CreateRoomParameters(
            name="Two", is_encrypted=True, is_direct=True, visibility=sdk.RoomVisibility.PRIVATE(),
            preset=sdk.RoomPreset.TRUSTED_PRIVATE_CHAT, invite=[self.carol.id]))
        await self.fedchat(self.carol.do, "join", direct)
        await until(lambda: self.bob.client.get_dm_room(self.carol.id), "bob's SDK knows that it is their room")
        await self.bob.timeline(direct)

        async with stirred(self.bob):
            verifying = await self.asked_by_sdk(False)
            expect_equal((await self.fedchat(verifying.step, "cancelled"))["code"], "m.mismatched_sas")
            await until(lambda: "cancelled" in self.bob.verifying.told, lambda: f"{self.bob.verifying.told}")
            expect(not (await self.bob.encryption.user_identity(self.carol.id, True)).is_verified(), "not verified")

    async def sdk_asks(self):
        async with stirred(self.bob):
            await self.asked_by_sdk(True)
            await until(lambda: "finished" in self.bob.verifying.told, lambda: f"{self.bob.verifying.told}")

    async def sdk_recovers(self):
        key = (await self.fedchat(self.alice.ask, "recovery", "create"))["recovery_key"]
        status = await self.fedchat(self.alice.ask, "backup", "status", "--complete")
        expect(status["used"] and status["backed_up"] == status["sessions"] > 0, f"{status}")
        user = await self.fetched(self.alice)
        second = await Device(self.server, self.folder, user, False).log_in()
        self.people.append(second)
        await until(lambda: second.encryption.recovery_state() == sdk.RecoveryState.INCOMPLETE,
                    lambda: f"{second.encryption.recovery_state()}")
        await second.encryption.recover(key)
        await until(lambda: second.encryption.verification_state() == sdk.VerificationState.VERIFIED, "the key signs the SDK's device")
        await until(lambda: second.encryption.backup_state() == sdk.BackupState.ENABLED,
                    lambda: f"the SDK uses the backup: {second.encryption.backup_state()}")
        timeline, seen = await second.timeline(self.room)
        for _ in range(10):
            if await timeline.paginate_backwards(50):
                break
        for text in ("hello from fedchat", "second from fedchat"):
            await until(lambda: (self.alice.id, text) in seen.texts(), lambda: f"{text}: {seen.texts()}, {len(seen.sealed())} sealed")
        await until(lambda: (self.bob.user.id, "hello from the SDK") in seen.texts(), lambda: f"{seen.texts()}")

    async def fetched(self, person):
        """An access token beside those that the programs have."""
        return await self.fedchat(lambda: self.server.site.login(person.name, PASSWORD))

    async def fedchat_recovers(self):
        self.key = await self.bob.encryption.enable_recovery(True, None, Progress())
        await until(lambda: self.bob.encryption.recovery_state() == sdk.RecoveryState.ENABLED, "recovery is set up")
        await self.bob.encryption.wait_for_backup_upload_steady_state(None)
        self.fedbob = await self.fedchat(self.fedchat_of_bob, "one")
        file = self.fedbob.home / "recovery"
        file.write_text(self.key + "\n")
        file.chmod(0o600)
        answer = await self.fedchat(self.fedbob.ask, "recovery", "restore", "--key-file", file)
        expect({"m.cross_signing.master", "m.cross_signing.self_signing", "m.cross_signing.user_signing", "m.megolm_backup.v1"}
               == set(answer["secrets"]), f"{answer}")
        expect(answer["backup"]["new"] > 0 and answer["backup"]["damaged"] == 0, f"{answer}")
        status = await self.fedchat(self.fedbob.ask, "cross-signing", "status")
        expect(status["trusted"] and status["device_signed"] and len(status["private_keys"]) == 3, f"{status}")
        await self.fedchat(self.fedbob.hear_texts, self.room, ["second from fedchat", "hello from the SDK"])
        await self.fedchat(self.fedbob.do, "send", self.room, "-m", "bob on fedchat")
        _, seen = await self.bob.timeline(self.room)
        await until(lambda: (self.bob.user.id, "bob on fedchat") in seen.texts(), lambda: f"{seen.texts()}")

    def fedchat_of_bob(self, name):
        person = Person(f"bob-{name}", self.server, self.folder / "people", PASSWORD)
        self.fedchats.append(person)
        person.do("login", "--homeserver", self.server.site.base_url, "--user", self.bob.user.localpart, "--password-file",
                  person.password_file)
        return person

    async def wrong_key(self):
        file = self.fedbob.home / "wrong"
        file.write_text("EsTc 5rr1 4Jgw 7dhv zSeE zAtA sPkr bhWN rEYt GhMa 7oMT i7DP\n")
        file.chmod(0o600)
        done = await self.fedchat(self.fedbob.run, "recovery", "restore", "--key-file", file)
        expect_equal(done.returncode, 4, f"{done.stderr}")

    async def new_device(self):
        second = await self.fedchat(self.fedchat_of_bob, "two")
        await asyncio.sleep(3)      # the SDK asks for the keys of the new one, without which it ignores the request
        async with stirred(self.bob):
            verifying = await self.asked_by_fedchat(second)
            expect("own_identity" in verifying.effects(), f"{verifying.steps}")
            for _ in range(60):
                status = await self.fedchat(second.ask, "cross-signing", "status")
                if len(status["private_keys"]) == 3 and status["device_signed"]:
                    return
                await asyncio.sleep(0.3)
            raise AssertionError(f"the secrets do not come: {status}")

    async def close(self):
        for person in self.people:
            try:
                await person.close()
            except sdk.ClientError:
                pass
        for person in self.fedchats:
            person.close()


if __name__ == "__main__":
    sys.exit(client_run.main(__doc__, World, seconds=120))
