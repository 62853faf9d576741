"""Canonical JSON, hashes, redaction and Ed25519 as the specification has them, written for clarity."""
import base64
import hashlib
import json

# --- Ed25519, RFC 8032 section 5.1 ---
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def _recover_x(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return P - x if x & 1 != sign else x


_base_y = 4 * pow(5, P - 2, P) % P
BASE = (_recover_x(_base_y, 0), _base_y)


def _add(a, b):
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P,
    )


def _multiply(scalar, point):
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    return total


def _encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def _secret(seed):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    return scalar, digest[32:]


def public_key(seed):
    return _encode(_multiply(_secret(seed)[0], BASE))


def sign(seed, message):
    scalar, prefix = _secret(seed)
    public = public_key(seed)
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    commitment = _encode(_multiply(nonce, BASE))
    challenge = int.from_bytes(hashlib.sha512(commitment + public + message).digest(), "little") % L
    return commitment + ((nonce + challenge * scalar) % L).to_bytes(32, "little")


# --- Matrix ---


def base64_unpadded(data, url_safe=False):
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    return encode(data).decode().rstrip("=")


def canonical(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def signed_json(value, entity, key_id, seed):
    value = dict(value)
    bare = {key: part for key, part in value.items() if key not in ("signatures", "unsigned")}
    value["signatures"] = {entity: {key_id: base64_unpadded(sign(seed, canonical(bare)))}}
    return value


TOP_LEVEL = (
    "event_id type room_id sender state_key content hashes signatures depth prev_events prev_state auth_events origin "
    "origin_server_ts membership"
).split()
POWER_LEVELS = "ban events events_default kick redact state_default users users_default".split()


def redacted(event, version):
    """The redaction algorithm of a room version."""
    top = [key for key in TOP_LEVEL if version < 11 or key not in ("prev_state", "origin", "membership")]
    content, kind = event["content"], event["type"]
    keep = {
        "m.room.member": ["membership"] + (["join_authorised_via_users_server"] if version >= 9 else []),
        "m.room.create": list(content) if version >= 11 else ["creator"],
        "m.room.join_rules": ["join_rule"] + (["allow"] if version >= 8 else []),
        "m.room.power_levels": POWER_LEVELS + (["invite"] if version >= 11 else []),
        "m.room.aliases": ["aliases"] if version <= 5 else [],
        "m.room.history_visibility": ["history_visibility"],
        "m.room.redaction": ["redacts"] if version >= 11 else [],
    }.get(kind, [])
    kept = {key: part for key, part in content.items() if key in keep}
    if version >= 11 and kind == "m.room.member" and "third_party_invite" in content:
        invite = content["third_party_invite"]
        kept["third_party_invite"] = {key: invite[key] for key in invite if key == "signed"}
    result = {key: part for key, part in event.items() if key in top}
    result["content"] = kept
    return result


def content_hash(event):
    bare = {key: part for key, part in event.items() if key not in ("unsigned", "signatures", "hashes")}
    return hashlib.sha256(canonical(bare)).digest()


def reference_hash(event, version):
    bare = {
        key: part
        for key, part in redacted(event, version).items()
        if key not in ("signatures", "unsigned", "age_ts")
    }
    return hashlib.sha256(canonical(bare)).digest()


def event_id(event, version):
    if version <= 2:
        return event["event_id"]
    return "$" + base64_unpadded(reference_hash(event, version), url_safe=version >= 4)


def seal(event, version, server, key_id, seed):
    """The event with its content hash and its server's signature."""
    event = dict(event)
    event["hashes"] = {"sha256": base64_unpadded(content_hash(event))}
    bare = {key: part for key, part in redacted(event, version).items() if key not in ("signatures", "unsigned")}
    event["signatures"] = {server: {key_id: base64_unpadded(sign(seed, canonical(bare)))}}
    return event
