#!/usr/bin/env python3
"""Writes vectors for Tests/RatchetTests and Tests/PostQuantumTests: spec/vectors/pickles/pickles.json, pickles of vodozemac and
libolm with what they must read; olm/full-codes.json and post-quantum/hybrid.json, messages of ratchet_reference.py. Each run
makes other keys. Run it with Tests/PeerTests/with ratchet."""
import base64
import json
import pathlib

import olm
import vodozemac

import ratchet_reference as reference

vectors = pathlib.Path(__file__).resolve().parent.parent.parent / "spec/vectors"
KEY, WORD = bytes(range(32)), "pass word"


def text(value):
    return base64.b64encode(value).decode().rstrip("=")


def of_vodozemac():
    account, peer = vodozemac.Account(), vodozemac.Account()
    account.generate_one_time_keys(3)
    used = list(account.one_time_keys.values())
    account.generate_fallback_key()
    fallback = list(account.fallback_key.values())[0]
    account.mark_keys_as_published()
    account.generate_one_time_keys(2)
    unpublished = sorted(key.to_base64() for key in account.one_time_keys.values())
    account.generate_fallback_key()
    next_fallback = list(account.fallback_key.values())[0]
    account_pickle = account.pickle(KEY)
    first = [peer.create_outbound_session(account.curve25519_key, key).encrypt(b"first %d" % number).to_parts()[1]
             for number, key in enumerate([used[0], fallback, next_fallback])]
    session = peer.create_outbound_session(account.curve25519_key, used[1])
    begun = session.encrypt(b"begun")
    other, _ = account.create_inbound_session(peer.curve25519_key, begun.to_pre_key())
    waiting = session.pickle(KEY)
    session.decrypt(other.encrypt(b"answer"))
    sent = [session.encrypt(b"late %d" % number) for number in range(4)]
    other.decrypt(sent[3])
    reading = other.pickle(KEY)
    answer = other.encrypt(b"answer to a waiting one").to_parts()
    group = vodozemac.GroupSession()
    inbound = vodozemac.InboundGroupSession(group.session_key)
    messages = [group.encrypt(b"group %d" % number) for number in range(3)]
    return {
        "library": "vodozemac 0.10.0", "key": text(KEY),
        "account": {
            "pickle": account_pickle, "curve25519": account.curve25519_key.to_base64(),
            "ed25519": account.ed25519_key.to_base64(), "signature": account.sign(b"signed").to_base64(),
            "unpublished": unpublished, "fallback": next_fallback.to_base64(), "count": 5,
            "sender": peer.curve25519_key.to_base64(), "first": [text(body) for body in first]},
        "waiting": {"pickle": waiting, "session_id": session.session_id},
        "reading": {"pickle": reading, "session_id": other.session_id, "late": [text(sent[n].to_parts()[1]) for n in range(3)]},
        "sending": {"pickle": session.pickle(KEY), "answer": text(answer[1])},
        "group": {"pickle": group.pickle(KEY), "session_id": group.session_id, "index": 3},
        "inbound": {"pickle": inbound.pickle(KEY), "messages": [text(m.to_bytes()) for m in messages]},
    }


def of_libolm():
    account, peer = olm.Account(), olm.Account()
    account.generate_one_time_keys(3)
    used = list(account.one_time_keys["curve25519"].values())
    account.mark_keys_as_published()
    account.generate_one_time_keys(2)
    unpublished = sorted(account.one_time_keys["curve25519"].values())
    account_pickle = account.pickle(WORD).decode()
    identity = account.identity_keys
    first = [olm.OutboundSession(peer, identity["curve25519"], used[0]).encrypt("first 0").ciphertext]
    session = olm.OutboundSession(peer, identity["curve25519"], used[1])
    begun = session.encrypt("begun")
    other = olm.InboundSession(account, begun, peer.identity_keys["curve25519"])
    other.decrypt(begun)
    waiting = session.pickle(WORD).decode()
    session.decrypt(other.encrypt("answer"))
    sent = [session.encrypt("late %d" % number) for number in range(4)]
    other.decrypt(sent[3])
    reading = other.pickle(WORD).decode()
    answer = other.encrypt("answer to a waiting one")
    group = olm.OutboundGroupSession()
    inbound = olm.InboundGroupSession(group.session_key)
    messages = [group.encrypt("group %d" % number) for number in range(3)]
    return {
        "library": "libolm 3.2.16", "key": text(WORD.encode()),
        "account": {
            "pickle": account_pickle, "curve25519": identity["curve25519"], "ed25519": identity["ed25519"],
            "signature": account.sign("signed"), "unpublished": unpublished, "fallback": None, "count": 5,
            "sender": peer.identity_keys["curve25519"], "first": first},
        "waiting": {"pickle": waiting, "session_id": session.id},
        "reading": {"pickle": reading, "session_id": other.id, "late": [message.ciphertext for message in sent[:3]]},
        "sending": {"pickle": session.pickle(WORD).decode(), "answer": answer.ciphertext},
        "group": {"pickle": group.pickle(WORD).decode(), "session_id": group.id, "index": 3},
        "inbound": {"pickle": inbound.pickle(WORD).decode(), "messages": messages},
    }


def raw(key):
    return text(key.private_bytes_raw())


def full_codes():
    account, peer = reference.Account(), reference.Account()
    account.generate(1)
    one_time = list(account.one_time.values())[0]
    session = reference.outbound(peer, reference.public(account.identity), reference.public(one_time), 4)
    messages = [session.encrypt(b"full %d" % number)[1] for number in range(3)]
    key = reference.group_new({"g": "g", "form": "full"})["session_key"]
    group = [reference.group_encrypt({"g": "g", "plaintext": text(b"full %d" % number)})["ciphertext"] for number in range(3)]
    return {
        "source": "Tests/PeerTests/ratchet_reference.py", "identity_secret": raw(account.identity),
        "one_time_secret": raw(one_time), "sender": text(reference.public(peer.identity)), "session_id": session.id,
        "messages": [text(message) for message in messages], "group": {"session_key": key, "messages": group}}


def hybrid():
    account, peer = reference.Account(), reference.Account()
    account.generate(1)
    one_time = list(account.one_time.values())[0]
    key = reference.MLKEM768PrivateKey.generate()
    encapsulation = key.public_key().public_bytes_raw()
    reference.ACCOUNTS["p"] = peer
    reference.hybrid_outbound({
        "a": "p", "s": "s", "identity_key": text(reference.public(account.identity)),
        "one_time_key": text(reference.public(one_time)), "encapsulation_key": text(encapsulation)})
    session = reference.SESSIONS["s"]
    messages = [session.encrypt(b"hybrid %d" % number)[1] for number in range(2)]
    return {
        "source": "Tests/PeerTests/ratchet_reference.py, ML-KEM-768 of the PyPI package cryptography 50.0.2",
        "identity_secret": raw(account.identity), "one_time_secret": raw(one_time), "encapsulation_seed": raw(key),
        "encapsulation_key": text(encapsulation), "sender": text(reference.public(peer.identity)), "session_id": session.id,
        "messages": [text(message) for message in messages]}


for name, value in [("pickles/pickles.json", [of_vodozemac(), of_libolm()]), ("olm/full-codes.json", full_codes()),
                    ("post-quantum/hybrid.json", hybrid())]:
    path = vectors / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")
    print(f"written: spec/vectors/{name}")
