#!/usr/bin/env python3
"""A ratchet written a second time, from the specification's words and the facts of vodozemac's source, with the primitives of
the PyPI package cryptography: Olm and Megolm with full codes (message version 4), which the bindings of vodozemac leave out,
and the hybrid of X25519 and ML-KEM-768 of spec/post-quantum.md. It speaks the protocol of ratchet_oracle.py.

It keeps no limits and no late keys of older chains: only messages that come in some order within a chain."""
import base64
import hashlib
import hmac
import json
import os
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MAC_SIZES = {3: 8, 4: 32}
HYBRID = b"org.fedchat.olm.v1.curve25519-mlkem768-aes-sha2"


def encode(value):
    return base64.b64encode(value).decode().rstrip("=")


def decode(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))


def sha256(value):
    return hashlib.sha256(value).digest()


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def hkdf(secret, salt, info, count):
    key, block, out = mac(salt or bytes(32), secret), b"", b""
    while len(out) < count:
        block = mac(key, block + info + bytes([len(out) // 32 + 1]))
        out += block
    return out[:count]


class Sealing:
    """AES-256-CBC and HMAC under the keys of one message."""

    def __init__(self, secret, info):
        keys = hkdf(secret, b"", info, 80)
        self.mac_key, self.cipher = keys[32:64], Cipher(algorithms.AES(keys[:32]), modes.CBC(keys[64:]))

    def seal(self, plaintext):
        pad = 16 - len(plaintext) % 16
        run = self.cipher.encryptor()
        return run.update(plaintext + bytes([pad]) * pad) + run.finalize()

    def open(self, ciphertext):
        run = self.cipher.decryptor()
        padded = run.update(ciphertext) + run.finalize()
        pad = padded[-1]
        if not 1 <= pad <= 16 or padded[-pad:] != bytes([pad]) * pad:
            raise ValueError("padding")
        return padded[:-pad]


def integer(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return bytes([number << 3]) + integer(value)
    return bytes([number << 3 | 2]) + integer(len(value)) + value


def fields(data):
    found, at = {}, 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value
    while at < len(data):
        tag = read()
        if tag & 7 == 0:
            found[tag >> 3] = read()
        elif tag & 7 == 2:
            count = read()
            if at + count > len(data):
                raise ValueError("too short")
            found[tag >> 3], at = data[at:at + count], at + count
        else:
            raise ValueError("wire type")
    return found


def public(key):
    return key.public_key().public_bytes_raw()


def agree(key, other):
    return key.exchange(X25519PublicKey.from_public_bytes(other))


class Chain:
    def __init__(self, key):
        self.key, self.index, self.skipped = key, 0, {}

    def next(self):
        message_key, self.key, self.index = mac(self.key, b"\1"), mac(self.key, b"\2"), self.index + 1
        return message_key

    def copy(self):
        other = Chain(self.key)
        other.index, other.skipped = self.index, dict(self.skipped)
        return other


def olm_message(version, key, ratchet_key, index, plaintext):
    sealing = Sealing(key, b"OLM_KEYS")
    body = bytes([version]) + field(1, ratchet_key) + field(2, index) + field(4, sealing.seal(plaintext))
    return body + mac(sealing.mac_key, body)[:MAC_SIZES[version]]


class OlmSession:
    def __init__(self, keys, secret, version, own=None, remote=None):
        self.keys, self.version, self.agreement = keys, version, None
        self.root, chain = secret[:32], Chain(secret[32:])
        self.own, self.sending, self.remote, self.receiving = own, chain if own else None, remote, {}
        if remote:
            self.receiving[remote] = chain

    @property
    def id(self):
        return encode(sha256(b"".join(self.keys)))

    def advance(self, own, remote):
        keys = hkdf(agree(own, remote), self.root, b"OLM_RATCHET", 64)
        return keys[:32], Chain(keys[32:])

    def encrypt(self, plaintext):
        if not self.own:
            self.own = X25519PrivateKey.generate()
            self.root, self.sending = self.advance(self.own, self.remote)
        index = self.sending.index
        message = olm_message(self.version, self.sending.next(), public(self.own), index, plaintext)
        if self.receiving:
            return 1, message
        identity_key, base_key, one_time_key = self.keys
        outer = b"\3" + field(1, one_time_key) + field(2, base_key) + field(3, identity_key) + field(4, message)
        if self.agreement:
            outer = b"\1" + field(1, outer) + field(2, self.agreement[0]) + field(3, self.agreement[1])
        return 0, outer

    def decrypt(self, message):
        version = message[0]
        size = MAC_SIZES[version]
        found = fields(message[1:-size])
        remote, index, ciphertext = found[1], found[2], found[4]
        root = None
        if remote in self.receiving:
            chain = self.receiving[remote].copy()
        else:
            root, chain = self.advance(self.own, remote)
        if index < chain.index:
            key = chain.skipped.pop(index)
        else:
            while chain.index < index:
                at = chain.index
                chain.skipped[at] = chain.next()
            key = chain.next()
        sealing = Sealing(key, b"OLM_KEYS")
        if not hmac.compare_digest(mac(sealing.mac_key, message[:-size])[:size], message[-size:]):
            raise ValueError("code")
        plaintext = sealing.open(ciphertext)
        self.receiving[remote] = chain
        if root:
            self.root, self.remote, self.own, self.sending = root, remote, None, None
        return plaintext


class Account:
    def __init__(self):
        self.identity, self.signing = X25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self.one_time, self.published = {}, set()

    def generate(self, count):
        for _ in range(count):
            key = X25519PrivateKey.generate()
            self.one_time[public(key)] = key


def outbound(account, identity_key, one_time_key, version, combine=None):
    base = X25519PrivateKey.generate()
    secret = agree(account.identity, one_time_key) + agree(base, identity_key) + agree(base, one_time_key)
    keys = public(account.identity), public(base), one_time_key
    mixed = combine(secret, keys) if combine else hkdf(secret, b"", b"OLM_ROOT", 64)
    return OlmSession(keys, mixed, version, own=X25519PrivateKey.generate())


def inbound(account, identity_key, body, combine=None):
    if body[0] != 3:
        raise ValueError("version")
    found = fields(body[1:])
    if found[3] != identity_key:
        raise ValueError("another sender")
    key = account.one_time[found[1]]
    secret = agree(key, found[3]) + agree(account.identity, found[2]) + agree(key, found[2])
    keys = found[3], found[2], found[1]
    mixed = combine(secret, keys) if combine else hkdf(secret, b"", b"OLM_ROOT", 64)
    message = found[4]
    session = OlmSession(keys, mixed, message[0], remote=fields(message[1:-MAC_SIZES[message[0]]])[1])
    plaintext = session.decrypt(message)
    del account.one_time[found[1]]
    return session, plaintext


def combined(kem_secret, secret, keys, receiver, key_hash, ciphertext):
    identity_key, base_key, one_time_key = keys
    transcript = identity_key + base_key + receiver + one_time_key + key_hash + ciphertext
    return hkdf(kem_secret + secret, b"", HYBRID + sha256(transcript), 64)


class Megolm:
    """The four parts, walked one index at a time: slow, and so unlike what it is compared with."""

    def __init__(self, parts, index):
        self.parts, self.index = list(parts), index

    def step(self):
        self.index += 1
        first = next(part for part in range(4) if part == 3 or self.index % (1 << (24 - 8 * part)) == 0)
        source = self.parts[first]
        for part in range(first, 4):
            self.parts[part] = mac(source, bytes([part]))

    def at(self, index):
        copy = Megolm(self.parts, self.index)
        while copy.index < index:
            copy.step()
        return copy

    def bytes(self):
        return self.index.to_bytes(4, "big") + b"".join(self.parts)


ACCOUNTS, SESSIONS, OUTBOUND, INBOUND, KEM = {}, {}, {}, {}, {}


def version_of(request):
    return 4 if request.get("form", "full") == "full" else 3


def account_new(r):
    ACCOUNTS[r["a"]] = Account()
    return account_keys(r)


def account_keys(r):
    account = ACCOUNTS[r["a"]]
    return {"curve25519": encode(public(account.identity)), "ed25519": encode(public(account.signing)), "max_one_time_keys": 50}


def account_generate_otk(r):
    ACCOUNTS[r["a"]].generate(r["n"])
    return account_otk(r)


def account_otk(r):
    account = ACCOUNTS[r["a"]]
    return {"one_time_keys": {encode(key[:8]): encode(key) for key in account.one_time if key not in account.published}}


def account_publish(r):
    ACCOUNTS[r["a"]].published |= set(ACCOUNTS[r["a"]].one_time)
    return {}


def session_outbound(r):
    keys = decode(r["identity_key"]), decode(r["one_time_key"])
    SESSIONS[r["s"]] = session = outbound(ACCOUNTS[r["a"]], *keys, version_of(r))
    return {"session_id": session.id}


def session_inbound(r):
    session, plaintext = inbound(ACCOUNTS[r["a"]], decode(r["identity_key"]), decode(r["body"]))
    SESSIONS[r["s"]] = session
    return {"session_id": session.id, "plaintext": encode(plaintext)}


def session_id(r):
    return {"session_id": SESSIONS[r["s"]].id}


def session_encrypt(r):
    kind, body = SESSIONS[r["s"]].encrypt(decode(r["plaintext"]))
    return {"type": kind, "body": encode(body)}


def session_decrypt(r):
    body = decode(r["body"])
    if r["type"] == 0:
        body = fields(body[1:])[4]
    return {"plaintext": encode(SESSIONS[r["s"]].decrypt(body))}


def group_new(r):
    session = Ed25519PrivateKey.generate(), Megolm([os.urandom(32) for _ in range(4)], 0), version_of(r)
    OUTBOUND[r["g"]] = session
    return group_info(r)


def group_info(r):
    key, ratchet, _ = OUTBOUND[r["g"]]
    body = b"\2" + ratchet.bytes() + public(key)
    return {"session_id": encode(public(key)), "message_index": ratchet.index, "session_key": encode(body + key.sign(body))}


def group_encrypt(r):
    key, ratchet, version = OUTBOUND[r["g"]]
    sealing = Sealing(b"".join(ratchet.parts), b"MEGOLM_KEYS")
    body = bytes([version]) + field(1, ratchet.index) + field(2, sealing.seal(decode(r["plaintext"])))
    body += mac(sealing.mac_key, body)[:MAC_SIZES[version]]
    index = ratchet.index
    ratchet.step()
    return {"ciphertext": encode(body + key.sign(body)), "message_index": index}


def ingroup_new(r):
    body = decode(r["session_key"])
    Ed25519PublicKey.from_public_bytes(body[133:165]).verify(body[165:], body[:165])
    return keep_inbound(r, body, 2)


def ingroup_import(r):
    return keep_inbound(r, decode(r["exported_key"]), 1)


def keep_inbound(r, body, version):
    if body[0] != version or len(body) != {1: 165, 2: 229}[version]:
        raise ValueError("session key")
    parts = [body[5 + 32 * part:37 + 32 * part] for part in range(4)]
    INBOUND[r["i"]] = body[133:165], Megolm(parts, int.from_bytes(body[1:5], "big"))
    return ingroup_info(r)


def ingroup_info(r):
    key, ratchet = INBOUND[r["i"]]
    return {"session_id": encode(key), "first_known_index": ratchet.index}


def ingroup_export(r):
    key, ratchet = INBOUND[r["i"]]
    if r["index"] < ratchet.index:
        raise ValueError("too old")
    return {"exported_key": encode(b"\1" + ratchet.at(r["index"]).bytes() + key)}


def ingroup_decrypt(r):
    key, ratchet = INBOUND[r["i"]]
    message = decode(r["ciphertext"])
    size = MAC_SIZES[message[0]]
    Ed25519PublicKey.from_public_bytes(key).verify(message[-64:], message[:-64])
    found = fields(message[1:-64 - size])
    index = found[1]
    if index < ratchet.index:
        raise ValueError("too old")
    sealing = Sealing(b"".join(ratchet.at(index).parts), b"MEGOLM_KEYS")
    if not hmac.compare_digest(mac(sealing.mac_key, message[:-64 - size])[:size], message[-64 - size:-64]):
        raise ValueError("code")
    return {"plaintext": encode(sealing.open(found[2])), "message_index": index}


def hybrid_keys(r):
    made = [MLKEM768PrivateKey.generate() for _ in range(r["n"])]
    KEM[r["h"]] = {sha256(key.public_key().public_bytes_raw()): key for key in made}
    return {"one_time_keys": [encode(key.public_key().public_bytes_raw()) for key in made]}


def hybrid_outbound(r):
    key = decode(r["encapsulation_key"])
    secret, ciphertext = MLKEM768PublicKey.from_public_bytes(key).encapsulate()
    receiver, key_hash = decode(r["identity_key"]), sha256(key)
    session = outbound(
        ACCOUNTS[r["a"]], receiver, decode(r["one_time_key"]), 4,
        lambda three, keys: combined(secret, three, keys, receiver, key_hash, ciphertext))
    session.agreement = key_hash, ciphertext
    SESSIONS[r["s"]] = session
    return {"session_id": session.id}


def hybrid_inbound(r):
    body = decode(r["body"])
    if body[0] != 1:
        raise ValueError("version")
    outer = fields(body[1:])
    key = KEM[r["h"]][outer[2]]
    secret, receiver = key.decapsulate(outer[3]), public(ACCOUNTS[r["a"]].identity)
    session, plaintext = inbound(
        ACCOUNTS[r["a"]], decode(r["identity_key"]), outer[1],
        lambda three, keys: combined(secret, three, keys, receiver, outer[2], outer[3]))
    del KEM[r["h"]][outer[2]]
    SESSIONS[r["s"]] = session
    return {"session_id": session.id, "plaintext": encode(plaintext)}


def hybrid_encrypt(r):
    return session_encrypt(r)


def hybrid_decrypt(r):
    body = decode(r["body"])
    if r["type"] == 0:
        body = fields(fields(body[1:])[1][1:])[4]
    return {"plaintext": encode(SESSIONS[r["s"]].decrypt(body))}


def drop(r):
    for table, name in ((ACCOUNTS, "a"), (SESSIONS, "s"), (OUTBOUND, "g"), (INBOUND, "i"), (KEM, "h")):
        table.pop(r.get(name), None)
    return {}


STARTS = ("account", "session", "group", "ingroup", "hybrid", "drop")
OPERATIONS = {name: value for name, value in list(globals().items())
              if callable(value) and name.split("_")[0] in STARTS}


def hello(r):
    return {"backend": "reference", "protocol": 1, "ops": sorted(OPERATIONS)}


OPERATIONS["hello"] = hello

if __name__ == "__main__":
    for line in sys.stdin:
        request = json.loads(line)
        operation = OPERATIONS.get(request["op"])
        try:
            if operation is None:
                reply = {"ok": False, "kind": "unsupported", "error": "unsupported"}
            else:
                reply = {**operation(request), "ok": True}
        except Exception as error:      # whatever was refused is told as refused
            reply = {"ok": False, "kind": type(error).__name__, "error": str(error)[:200]}
        print(json.dumps({**reply, "id": request.get("id")}), flush=True)
