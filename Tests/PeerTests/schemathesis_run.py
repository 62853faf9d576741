#!/usr/bin/env python3
"""Requests that schemathesis makes up from the specification's OpenAPI documents, right ones and wrong ones, on fedchatd.

    schemathesis_run.py [--examples N] [--seed N] [--only OPERATION] [--database sqlite|postgres] [--table FILE]

Each operation is a case: none of its answers may be a server error, or anything that its document does not say (see
blackbox/openapi.py). The requests are the same for the same seed. Operations that end a session or an account get a user of
their own for each request.
"""
import collections
import datetime
import json
import pathlib
import random
import sys
import time
import urllib.parse

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "EndToEndTests"))

import hypothesis
import hypothesis.strategies as st
import schemathesis
from schemathesis import GenerationMode

from blackbox import openapi, script
from blackbox.certificates import Authority
from blackbox.matrix import Site, quoted
from blackbox.processes import bytes_resident
from blackbox.report import Run, Skipped, expect
from blackbox.servers import Fedchatd

PASSWORD = "correct horse battery"
# After these nothing of the user, or of its rooms, may be left.
ENDS = {"logout", "logout_all", "deactivateAccount", "changePassword", "deleteDevice", "deleteDevices", "refresh",
        "setAdminLockUser", "setAdminSuspendUser"}
BY_ADMIN = {"getWhoIs", "getAdminLockUser", "setAdminLockUser", "getAdminSuspendUser", "setAdminSuspendUser"}
LONGEST_WAIT = 50       # ms, for what would wait for something to happen


class Scene:
    """Users, a room and what is in it: what requests may be about."""

    def __init__(self, server):
        self.server = server
        self.admin = server.user("admin", PASSWORD, admin=True)
        self.build()

    def build(self):
        self.user, self.other = (self.server.user("fuzz", PASSWORD) for _ in range(2))
        self.room = self.user.create_room(preset="public_chat", invite=[self.other.id], name="Room")
        self.other.join(self.room)
        self.event = self.other.send(self.room, "hello")
        self.alias = f"#a{time.time_ns()}:{self.server.name}"
        self.user.call("PUT", f"/directory/room/{quoted(self.alias)}", {"room_id": self.room})
        upload = self.user.request("POST", "/_matrix/media/v3/upload", b"x", prefix="", headers={"Content-Type": "text/plain"})
        self.media = upload.json["content_uri"].rsplit("/", 1)[1]
        self.filter = self.user.call("POST", f"/user/{quoted(self.user.id)}/filter", {"room": {"timeline": {"limit": 3}}})["filter_id"]
        self.user.call("PUT", "/pushrules/global/content/mine", {"pattern": "x", "actions": ["notify"]})
        self.user.call("PUT", f"/user/{quoted(self.user.id)}/rooms/{quoted(self.room)}/tags/m.favourite", {"order": 0.5})
        for path in ("", f"/rooms/{quoted(self.room)}"):
            self.user.call("PUT", f"/user/{quoted(self.user.id)}{path}/account_data/org.example.type", {"a": 1})
        self.backup = self.user.call("POST", "/room_keys/version", {
            "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "YQ", "signatures": {}}})["version"]
        self.user.call("PUT", f"/room_keys/keys/{quoted(self.room)}/session?version={self.backup}", {
            "first_message_index": 1, "forwarded_count": 0, "is_verified": False,
            "session_data": {"ciphertext": "YQ", "mac": "YQ", "ephemeral": "YQ"}})

    def holds(self):
        """Whether the user is still in, and in the room."""
        answer = self.user.request("GET", "/joined_rooms")
        return answer.status == 200 and self.room in answer.json["joined_rooms"]

    def known(self, name):
        """Values that mean something here, for a parameter's name."""
        users = [self.user.id, self.other.id]
        return {
            "roomId": [self.room], "userId": users, "eventId": [self.event], "deviceId": [self.user.device],
            "roomAlias": [self.alias], "roomIdOrAlias": [self.room, self.alias], "serverName": [self.server.name],
            "mediaId": [self.media], "eventType": ["m.room.message", "m.room.topic", "m.reaction"], "stateKey": ["", self.user.id],
            "type": ["m.direct", "org.example.type"], "kind": ["override", "content", "underride", "room", "sender"],
            "ruleId": [".m.rule.master", "mine"], "scope": ["global"], "receiptType": ["m.read", "m.read.private"],
            "version": [self.backup], "sessionId": ["session"], "filterId": [self.filter], "keyName": ["displayname", "org.example.key"], "tag": ["m.favourite"],
            "relType": ["m.thread", "m.annotation"],
        }.get(name, [])


scene = None
FORMATS = {
    "mx-user-id": lambda: [scene.user.id, scene.other.id, "@nobody:example.org"],
    "mx-room-id": lambda: [scene.room, "!none:example.org"],
    "mx-event-id": lambda: [scene.event, "$none"],
    "mx-room-alias": lambda: [scene.alias, f"#free:{scene.server.name}", "#far:example.org"],
    "mx-server-name": lambda: [scene.server.name],
    "mx-mxc-uri": lambda: [f"mxc://{scene.server.name}/{scene.media}"],
    "mx-unpadded-base64": lambda: ["YQ", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    "mx-urlsafe-unpadded-base64": lambda: ["YQ"],
}


def bundled():
    """All documents as one: paths in full, and every file that is referred to as a component."""
    components, paths = {}, {}

    def name_of(path):
        return path.replace("/", "_").replace("#", "_").replace(".yaml", "")

    def moved(value, home, keep_names=False):
        if isinstance(value, list):
            return [moved(each, home) for each in value]
        if not isinstance(value, dict):
            return value
        made = {}
        for key, each in value.items():
            if not keep_names and key in ("example", "examples", "description"):
                continue
            if key == "$ref" and isinstance(each, str) and not keep_names:
                made[key] = component(each, home)
            else:
                made[key] = moved(each, home, keep_names=key in openapi.BY_NAME and not keep_names)
        return made

    def component(reference, home):
        file, _, pointer = reference.partition("#")
        if file:
            joined = urllib.parse.urljoin("http://x/" + home, file)
            home = urllib.parse.urlsplit(joined).path[1:]
        name = name_of(home + ("#" + pointer.replace("/", "_") if pointer else ""))
        if name not in components:
            components[name] = None         # a schema may contain itself
            content = openapi.document(home)
            for part in pointer.split("/")[1:]:
                content = content[part]
            components[name] = moved(content, home)
        return f"#/components/schemas/{name}"

    for operation in openapi.Api().operations:
        if not operation.file.startswith("api/client-server"):
            continue
        value = {key: each for key, each in operation.value.items() if each is not None and key not in ("security", "tags")}
        value["responses"] = {"200": {"description": ""}}       # answers are judged by the witness
        value["operationId"], value["x-statuses"] = operation.id, sorted(operation.statuses)
        item = paths.setdefault(operation.route, {})
        if operation.method.lower() not in item:
            item[operation.method.lower()] = moved(value, operation.file)
    return {"openapi": "3.1.0", "info": {"title": "Matrix client-server API", "version": "1.19"}, "paths": paths,
            "components": {"schemas": components}}


def plain(value):
    """A value as text that can be in a URL."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


class Judge:
    """Sends what was made up for one operation, and lets the witness see it."""

    def __init__(self, operation, witness):
        self.operation, self.id = operation, operation.definition.raw["operationId"]
        self.witness = witness
        self.statuses = collections.Counter()

    def target(self, case, chance):
        """The path with its query. Mostly a parameter is something that is there."""
        path = self.operation.path
        for name, value in (case.path_parameters or {}).items():
            there = scene.known(name)
            if there and chance.random() < 0.8:
                value = chance.choice(there)
            path = path.replace("{" + name + "}", quoted(plain(value)))
        query = []
        for name, value in (case.query or {}).items():
            if name in ("timeout", "timeout_ms") and isinstance(value, (int, float)):
                value = min(value, LONGEST_WAIT)
            if name == "version" and chance.random() < 0.8:
                value = scene.backup
            query += [(name, plain(each)) for each in (value if isinstance(value, list) else [value])]
        if "timeout" not in dict(query) and self.id in ("sync", "getEvents", "peekEvents"):
            query.append(("timeout", "0"))
        return path + ("?" + urllib.parse.urlencode(query) if query else "")

    def user(self, chance):
        if self.id in ENDS:
            scene.build()
        return scene.admin if self.id in BY_ADMIN and chance.random() < 0.8 else scene.user

    def body(self, case, user, chance):
        """The body's bytes, and their type."""
        body = case.body
        if type(body).__name__ == "NotSet":
            return None, {}
        kind = {"Content-Type": case.media_type or "application/json"}
        if type(body).__name__ == "Binary" or isinstance(body, (bytes, bytearray)):
            return bytes(getattr(body, "data", body)), kind
        if isinstance(body, dict) and chance.random() < 0.5:
            known = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user.id}, "password": PASSWORD}
            if self.id == "login":
                body = {**body, **known}
            elif self.id == "refresh":
                made = scene.server.site.login(user.localpart, PASSWORD, refresh_token=True)
                body = {**body, "refresh_token": made.refresh_token}
            elif 401 in case.operation.definition.raw["x-statuses"]:
                body = {**body, "auth": known}
        return json.dumps(body).encode("utf-8", "surrogatepass"), kind

    def send(self, case, chance):
        user = self.user(chance)
        token = None if chance.random() < 0.05 else user.token
        body, headers = self.body(case, user, chance)
        target = self.target(case, chance)
        answer = scene.server.site.request(case.method.upper(), target, body, token, headers)
        self.statuses[answer.status] += 1
        if answer.status >= 500:
            self.witness.broken.append((case.method.upper(), target, (body or b"")[:300], answer))

    def run(self, examples, seed):
        chance = random.Random(f"{seed} {self.id}")
        for mode, share in ((GenerationMode.POSITIVE, 2), (GenerationMode.NEGATIVE, 1)):
            try:
                strategy = self.operation.as_strategy(generation_mode=mode)
            except Exception as error:
                if mode is GenerationMode.NEGATIVE:     # nothing about it can be wrong
                    continue
                raise error
            count = max(1, examples * share // 3)

            @hypothesis.seed(seed)
            @hypothesis.settings(max_examples=count, deadline=None, database=None, phases=[hypothesis.Phase.generate],
                                 suppress_health_check=list(hypothesis.HealthCheck))
            @hypothesis.given(case=strategy)
            def attempt(case):
                self.send(case, chance)

            try:
                attempt()
            except (hypothesis.errors.Unsatisfiable, schemathesis.errors.SchemathesisError) as error:
                if mode is GenerationMode.POSITIVE:
                    raise Skipped(f"schemathesis makes no request of it: {type(error).__name__} {str(error)[:100]}")


def main():
    global scene
    options = script.options(__doc__, "database", "keep", "table")
    options.add_argument("--examples", type=int, default=20, help="requests for each operation")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", help="the operations with this in their id")
    options = options.parse_args()
    for name, values in FORMATS.items():
        schemathesis.openapi.format(name, st.deferred(lambda values=values: st.builds(lambda pick: values()[pick % len(values())],
                                                                                      st.integers(0, 11))))
    schema = schemathesis.openapi.from_dict(bundled())
    run, judges = Run(), []
    witness = openapi.Witness(judges_requests=False)
    start = time.monotonic()
    try:
        with (script.folder("schemathesis", options.keep) as folder, script.Databases(options.database) as databases,
              Fedchatd(folder / "server", Authority(folder / "ca"), databases.create("server")) as server):
            scene = Scene(server)
            Site.witness = witness
            for result in schema.get_all_operations():
                judge = Judge(result.ok(), witness)
                if options.only and options.only not in judge.id:
                    continue
                judges.append(judge)
                witness.case, witness.broken = judge.id, []

                def one(judge=judge):
                    if not scene.holds():
                        scene.build()
                    judge.run(options.examples, options.seed)
                    expect(server.process.runs, f"the server ended:\n{server.process.tail()}")
                    wrong = {text: each for name, found in witness.deviations.items() for text, each in found.items()
                             if each[1] == judge.id}
                    expect(not wrong, "\n".join(f"{count} times: {text}" for text, (count, _) in list(wrong.items())[:10])
                           + "".join(f"\n{each}" for each in witness.broken[-2:]))
                run.one(f"{judge.id}", one)
            memory = bytes_resident(server.process.id)
    finally:
        Site.witness = None
    total = sum(sum(judge.statuses.values()) for judge in judges)
    errors = collections.Counter(status for judge in judges for status in judge.statuses.elements() if status >= 500)
    ours = errors.total() - errors[502] - errors[504]
    summary = (f"{total} requests to {len(judges)} operations in {time.monotonic() - start:.0f} s, seed {options.seed}: {ours} server errors "
               f"({errors[502]} answers 502 and {errors[504]} answers 504 besides: servers that are not there, files that never came), "
               f"{sum(map(len, witness.deviations.values()))} deviations; memory {memory >> 20} MB at the end")
    print(summary)
    if options.table:
        lines = [f"# schemathesis, {datetime.date.today()}", "",
                 f"`Tests/PeerTests/schemathesis_run.py --examples {options.examples} --seed {options.seed}` with schemathesis "
                 f"{schemathesis.core.version.SCHEMATHESIS_VERSION}, on {options.database}:", summary + ".", "",
                 "Two thirds of the requests are right by their schema, one third wrong. An answer must have a documented status, error code, "
                 "content type and shape.", "", "| operation | requests | answers |", "| --- | ---: | --- |"]
        lines += [f"| {judge.id} | {sum(judge.statuses.values())} | "
                  + ", ".join(f"{status} × {count}" for status, count in sorted(judge.statuses.items())) + " |" for judge in judges]
        script.dated(options.table).write_text("\n".join(lines) + "\n")
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
