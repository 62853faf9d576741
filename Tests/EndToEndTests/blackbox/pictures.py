"""Pictures made of nothing: PNG."""
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3}     # by PNG's color type: gray, RGB


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width, height, depth=8, color=2):
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))


def png(width, height, depth=8, color=2, row=None):
    """A PNG whose every row is this; zeros without. Packed as small as it goes, and row by row: a huge one takes no memory."""
    row = b"\0" + (row or b"\0" * ((width * CHANNELS[color] * depth + 7) // 8))
    packer, parts = zlib.compressobj(9), []
    for _ in range(height):
        parts.append(packer.compress(row))
    parts.append(packer.flush())
    return header(width, height, depth, color) + chunk(b"IDAT", b"".join(parts)) + chunk(b"IEND", b"")


def picture(width, height):
    """A PNG of one color that is not black."""
    return png(width, height, row=b"\x20\x60\xa0" * width)
