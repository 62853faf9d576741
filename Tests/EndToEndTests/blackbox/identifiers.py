"""The specification's grammars of identifiers, for the `mx-*` formats of its schemas."""
import re

SERVER = r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,255})(?::\d{1,5})?"
BASE64 = r"[A-Za-z0-9+/]*"
PATTERNS = {
    "mx-user-id": rf"@[^:\0]*:{SERVER}",                    # historical localparts may hold nearly anything
    "mx-event-id": r"\$[^\0]+",
    "mx-room-id": r"![^\0]+",
    "mx-room-alias": rf"#[^:\0]*:{SERVER}",
    "mx-server-name": SERVER,
    "mx-mxc-uri": rf"mxc://{SERVER}/[A-Za-z0-9_-]+",
    "mx-unpadded-base64": BASE64,
    "mx-urlsafe-unpadded-base64": r"[A-Za-z0-9_-]*",
}
LONGEST = 255


def _check(pattern, limit):
    compiled = re.compile(pattern)
    return lambda text: bool(compiled.fullmatch(text)) and (limit is None or len(text.encode()) <= limit)


FORMATS = {
    name: _check(pattern, LONGEST if name in ("mx-user-id", "mx-event-id", "mx-room-id", "mx-room-alias") else None)
    for name, pattern in PATTERNS.items()
}
