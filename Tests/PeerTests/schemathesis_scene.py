"""What the requests of schemathesis_run.py are about: a server that has everything switched on, and users, rooms, files, keys
and tokens that are there, so that a request may succeed."""
import time

from blackbox.matrix import quoted
from blackbox.pictures import picture
from blackbox.servers import Fedchatd
from cases.backup import ALGORITHM, Identity
from cases.previews import Page

PASSWORD = "correct horse battery"
MEMBERSHIPS = {"inviteUser", "kick", "ban", "unban"}
PUSH_RULES = {"getPushRule", "setPushRule", "deletePushRule", "isPushRuleEnabled", "setPushRuleEnabled", "getPushRuleActions", "setPushRuleActions"}
THUMBNAILS = {"getContentThumbnail", "getContentThumbnailAuthed"}
PREVIEWS = {"getUrlPreview", "getUrlPreviewAuthed"}
SESSION = {"first_message_index": 1, "forwarded_count": 0, "is_verified": False,
           "session_data": {"ciphertext": "YQ", "mac": "YQ", "ephemeral": "YQ"}}


def server(folder, authority, database):
    """A server, not started, in which nothing is off that a configuration can switch on by itself."""
    return Fedchatd(
        folder, authority, database,
        registration={"open": True, "guests": True, "shared_secret": Fedchatd.secret, "password_hash_cost": "minimum"},
        url_previews={"enabled": True}, outbound={"allow_private_addresses": True}, clients={"legacy_media": True},
        turn={"uris": ["turn:turn.example.org?transport=udp"], "shared_secret": "s"},
        support={"contacts": [{"role": "m.role.admin", "email_address": "admin@example.org"}]},
        limits={"pending_uploads": 1_000})


class Scene:
    def __init__(self, server):
        self.server, self.page, self.count = server, Page(), 0
        self.admin = server.user("admin", PASSWORD, admin=True)
        self.build()

    def build(self):
        self.user, self.other, self.third = (self.server.user("fuzz", PASSWORD) for _ in range(3))
        self.room = self.user.create_room(preset="public_chat", invite=[self.other.id], name="Room")
        self.other.join(self.room)
        self.event = self.other.send(self.room, "hello")
        self.knocking = self.other.create_room(
            initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}])
        self.alias = self.fresh_alias()
        self.user.call("PUT", f"/directory/room/{quoted(self.alias)}", {"room_id": self.room})
        upload = self.user.request("POST", "/_matrix/media/v3/upload", picture(64, 48), prefix="", headers={"Content-Type": "image/png"})
        self.media = upload.json["content_uri"].rsplit("/", 1)[1]
        self.filter = self.user.call("POST", f"/user/{quoted(self.user.id)}/filter", {"room": {"timeline": {"limit": 3}}})["filter_id"]
        self.user.call("PUT", "/pushrules/global/content/mine", {"pattern": "x", "actions": ["notify"]})
        self.user.call("PUT", f"/user/{quoted(self.user.id)}/rooms/{quoted(self.room)}/tags/m.favourite", {"order": 0.5})
        self.user.call("PUT", f"/profile/{quoted(self.user.id)}/org.example.key", {"org.example.key": "value"})
        for path in ("", f"/rooms/{quoted(self.room)}"):
            self.user.call("PUT", f"/user/{quoted(self.user.id)}{path}/account_data/org.example.type", {"a": 1})
        self.token = self.user.sync()["next_batch"]
        self.identity = Identity(self.user)
        self.backup, self.own = "1", {}

    def holds(self):
        """Whether the user is still in, and in the room."""
        answer = self.user.request("GET", "/joined_rooms")
        return answer.status == 200 and self.room in answer.json["joined_rooms"]

    def fresh(self):
        self.count += 1
        return f"n{self.count}.{time.time_ns()}"

    def fresh_alias(self):
        return f"#{self.fresh()}:{self.server.name}"

    def set_up(self, operation):
        """Makes what a request of this operation needs, and would find used up by the one before it."""
        self.own = {}       # the values of parameters that only this request is to have
        if operation in MEMBERSHIPS and not self.holds():       # who kicks himself is out
            self.build()
        room = quoted(self.room)
        if operation in MEMBERSHIPS:
            self.user.request("POST", f"/rooms/{room}/unban", {"user_id": self.third.id})
            if operation == "unban":
                self.user.request("POST", f"/rooms/{room}/ban", {"user_id": self.third.id})
            elif operation == "kick":
                self.user.request("POST", f"/rooms/{room}/invite", {"user_id": self.third.id})
        elif operation == "knockRoom":
            self.own = {"roomIdOrAlias": [self.knocking]}
        elif operation in ("forgetRoom", "upgradeRoom"):
            made = self.user.create_room()
            if operation == "forgetRoom":
                self.user.leave(made)
            self.own = {"roomId": [made]}
        elif operation in ("setRoomAlias", "deleteRoomAlias"):
            alias = self.fresh_alias()
            if operation == "deleteRoomAlias":
                self.user.call("PUT", f"/directory/room/{quoted(alias)}", {"room_id": self.room})
            self.own = {"roomAlias": [alias]}
        elif operation == "uploadContentToMXC":
            uri = self.user.request("POST", "/_matrix/media/v1/create", {}, prefix="").json["content_uri"]
            self.own = {"mediaId": [uri.rsplit("/", 1)[1]]}
        elif "RoomKey" in operation:
            self.keep_backup()
        elif operation in PUSH_RULES:
            self.user.call("PUT", "/pushrules/global/content/mine", {"pattern": "x", "actions": ["notify"]})
            self.own = {"kind": ["content"], "ruleId": ["mine"]}
        elif operation in THUMBNAILS:
            self.own = {"width": ["32", "96"], "height": ["32", "96"], "method": ["crop", "scale"]}
        elif operation in PREVIEWS:
            self.own = {"url": [self.page.url]}
        elif operation == "getKeysChanges":
            self.own = {"from": [self.token], "to": [self.token]}
        elif operation in ("sync", "getEvents"):
            self.own = {"since": [self.token], "from": [self.token], "filter": [self.filter]}
        elif operation == "register":
            self.own = {"kind": ["user", "guest"]}

    def keep_backup(self):
        """A backup with a key in it, whatever the request before did to it."""
        told = self.user.request("GET", "/room_keys/version")
        if told.status == 200:
            self.backup = told.json["version"]
        else:
            self.backup = self.user.call("POST", "/room_keys/version", {
                "algorithm": ALGORITHM, "auth_data": {"public_key": "YQ", "signatures": {}}})["version"]
        self.user.call("PUT", f"/room_keys/keys/{quoted(self.room)}/session?version={self.backup}", SESSION)

    def known(self, name):
        """Values that mean something here, for a parameter's name."""
        users = [self.user.id, self.other.id]
        return self.own.get(name) or {
            "roomId": [self.room], "userId": users, "eventId": [self.event], "deviceId": [self.user.device],
            "roomAlias": [self.alias], "roomIdOrAlias": [self.room, self.alias], "serverName": [self.server.name],
            "mediaId": [self.media], "eventType": ["m.room.message", "m.room.topic", "m.reaction"], "stateKey": ["", self.user.id],
            "type": ["m.direct", "org.example.type"], "kind": ["override", "content", "underride", "room", "sender"],
            "ruleId": [".m.rule.master", "mine"], "scope": ["global"], "receiptType": ["m.read", "m.read.private"],
            "version": [self.backup], "sessionId": ["session"], "filterId": [self.filter], "keyName": ["displayname", "org.example.key"],
            "tag": ["m.favourite"], "relType": ["m.thread", "m.annotation"],
        }.get(name, [])

    def query(self, name):
        """Values for a parameter of the query; of those the names mean something only for some operations."""
        return [self.backup] if name == "version" else self.own.get(name, [])

    def sound(self, operation, user, path, takes_password):
        """Parts of a body with which a request can succeed. `path` has the parameters in it."""
        password = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user.id}, "password": PASSWORD}
        if operation == "login":
            return password
        if operation == "refresh":
            return {"refresh_token": self.server.site.login(user.localpart, PASSWORD, refresh_token=True).refresh_token}
        if operation == "register":
            return {"username": self.fresh(), "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        if operation == "uploadCrossSigningKeys":
            mine = self.identity
            return {"auth": password, "master_key": mine.key("master", mine.master),
                    "self_signing_key": mine.key("self_signing", mine.self_signing),
                    "user_signing_key": mine.key("user_signing", mine.user_signing)}
        if operation in MEMBERSHIPS:
            return {"user_id": self.third.id}
        if operation == "upgradeRoom":
            return {"new_version": "12"}
        if operation == "setRoomAlias":
            return {"room_id": self.room}
        if operation == "putRoomKeysVersion":
            return {"version": self.backup, "algorithm": ALGORITHM, "auth_data": {"public_key": "YQ", "signatures": {}}}
        if operation in ("setPushRule", "setPushRuleActions"):
            return {"pattern": "x", "conditions": [], "actions": ["notify"]}
        if operation == "setProfileField":
            name = path.get("keyName", "displayname")
            return {name: f"mxc://{self.server.name}/{self.media}" if name == "avatar_url" else "value"}
        return {"auth": password} if takes_password else {}


FORMATS = {
    "mx-user-id": lambda scene: [scene.user.id, scene.other.id, "@nobody:example.org"],
    "mx-room-id": lambda scene: [scene.room, "!none:example.org"],
    "mx-event-id": lambda scene: [scene.event, "$none"],
    "mx-room-alias": lambda scene: [scene.alias, f"#free:{scene.server.name}", "#far:example.org"],
    "mx-server-name": lambda scene: [scene.server.name],
    "mx-mxc-uri": lambda scene: [f"mxc://{scene.server.name}/{scene.media}"],
    "mx-unpadded-base64": lambda scene: ["YQ", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    "mx-urlsafe-unpadded-base64": lambda scene: ["YQ"],
}
