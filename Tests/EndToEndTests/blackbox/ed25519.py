"""Signs as RFC 8032 has it, with Python's own integers: slow, and for tests only, which then need no package for it."""
import base64
import hashlib
import json

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
_BASE_Y = 4 * pow(5, P - 2, P) % P


def _recover_x(y):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x % 2 == 0 else P - x


_BASE = (_recover_x(_BASE_Y), _BASE_Y, 1, _recover_x(_BASE_Y) * _BASE_Y % P)


def _add(one, other):
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * one[3] * other[3] * D % P, 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(number, point):
    sum_so_far = (0, 1, 1, 0)
    while number:
        if number & 1:
            sum_so_far = _add(sum_so_far, point)
        point, number = _add(point, point), number >> 1
    return sum_so_far


def _packed(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _number(data):
    return int.from_bytes(data, "little")


def unpadded(data):
    return base64.b64encode(data).decode().rstrip("=")


def canonical(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


class SigningKey:
    def __init__(self, seed):
        digest = hashlib.sha512(seed).digest()
        self._scalar = _number(digest[:32]) & ((1 << 254) - 8) | (1 << 254)
        self._prefix = digest[32:]
        self._public = _packed(_times(self._scalar, _BASE))
        self.public = unpadded(self._public)

    def sign(self, message):
        nonce = _number(hashlib.sha512(self._prefix + message).digest()) % ORDER
        point = _packed(_times(nonce, _BASE))
        challenge = _number(hashlib.sha512(point + self._public + message).digest()) % ORDER
        return unpadded(point + ((nonce + challenge * self._scalar) % ORDER).to_bytes(32, "little"))

    def signed(self, value, user, key_id):
        """The JSON value with one signature more (https://spec.matrix.org/v1.19/appendices/#signing-json)."""
        bare = {key: each for key, each in value.items() if key not in ("signatures", "unsigned")}
        signatures = {name: dict(each) for name, each in value.get("signatures", {}).items()}
        signatures.setdefault(user, {})[f"ed25519:{key_id}"] = self.sign(canonical(bare))
        return {**value, "signatures": signatures}
