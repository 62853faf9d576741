"""Puts the Rust SDK's Python bindings (the package matrix-sdk-python) into the virtual environment that runs this.

There is one wheel, for CPython 3.12 and glibc 2.38. What is in it is plain Python, which says of itself that it wants 3.10,
and a library that needs two functions of glibc 2.38: the C23 forms of sscanf and strtol, which differ from the older ones in
the binary numbers they also read. Where glibc is older, the library is told to take the older ones: the symbols' names begin
after `__isoc23_`, and their version is any.
"""
import os
import pathlib
import struct
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

VERSION = "0.18.0"
LIBRARY = "matrix_sdk_python/_generated/libmatrix_sdk_ffi.so"
PREFIX = b"__isoc23_"
NEEDED = b"GLIBC_2.38"
SECTION_DYNSYM, SECTION_VERNEED, SECTION_VERSYM = 11, 0x6FFFFFFE, 0x6FFFFFFF
WEAK, ANY_VERSION = 2, 1


def glibc():
    name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
    return tuple(int(part) for part in version.split("."))


class Library:
    """An ELF file of 64 bits, little end first."""

    def __init__(self, path):
        self.path, self.data = path, bytearray(path.read_bytes())
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise SystemExit(f"{path} is not a library that this knows")
        start, = struct.unpack_from("<Q", self.data, 0x28)
        size, count = struct.unpack_from("<HH", self.data, 0x3A)
        # name, type, flags, address, offset, size, link, info, alignment, entry size
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", self.data, start + number * size) for number in range(count)]

    def section(self, kind):
        return next(each for each in self.sections if each[1] == kind)

    def text(self, section, offset):
        start = self.sections[section[6]][4] + offset
        return bytes(self.data[start:self.data.index(0, start)])

    def free_version(self):
        """The indices of the version that is not there; it is no longer a must."""
        section, indices = self.section(SECTION_VERNEED), set()
        offset = section[4]
        for _ in range(section[7]):
            _, count, _, first, following = struct.unpack_from("<HHIII", self.data, offset)
            entry = offset + first
            for _ in range(count):
                _, flags, index, name, step = struct.unpack_from("<IHHII", self.data, entry)
                if self.text(section, name) == NEEDED:
                    struct.pack_into("<H", self.data, entry + 4, flags | WEAK)
                    indices.add(index)
                entry += step
            offset += following
        return indices

    def rename(self, indices):
        symbols, versions = self.section(SECTION_DYNSYM), self.section(SECTION_VERSYM)
        renamed = []
        for number in range(versions[5] // 2):
            place = versions[4] + 2 * number
            if struct.unpack_from("<H", self.data, place)[0] not in indices:
                continue
            symbol = symbols[4] + number * symbols[9]
            name, = struct.unpack_from("<I", self.data, symbol)
            text = self.text(symbols, name)
            if not text.startswith(PREFIX):
                raise SystemExit(f"the library needs {text.decode()} of {NEEDED.decode()}, for which there is nothing older")
            struct.pack_into("<I", self.data, symbol, name + len(PREFIX))
            struct.pack_into("<H", self.data, place, ANY_VERSION)
            renamed.append(text.decode())
        return renamed


def main():
    packages = pathlib.Path(sysconfig.get_paths()["purelib"])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps",
                        "--only-binary", ":all:", "--platform", "manylinux_2_39_x86_64", "--python-version", "3.12",
                        "--dest", folder, f"matrix-sdk-python=={VERSION}"], check=True, stdin=subprocess.DEVNULL)
        wheel, = pathlib.Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    if glibc() < (2, 38):
        library = Library(packages / LIBRARY)
        print("takes the older form of:", ", ".join(library.rename(library.free_version())))
        library.path.write_bytes(library.data)
    subprocess.run([sys.executable, "-c", "import matrix_sdk_python"], check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
