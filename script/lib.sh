# Sourced by the scripts of this folder; does nothing by itself.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What the Swift toolchain, the compiler and the linker need, what the server calls at run time, what the tests start.
build_packages=(
    libncurses6 libxml2
    build-essential pkg-config git curl ca-certificates zlib1g-dev libcrypt-dev
    libssl-dev libpq-dev libsodium-dev libcurl4-openssl-dev libsqlite3-dev libqrencode-dev
)
run_packages=(openssl libvips-tools)
test_packages=(postgresql python3 python3-venv python3-dev jq dnsmasq-base iproute2)
# Reads the QR codes that trust.py has drawn.
reader_packages=(zbar-tools)
# What Tests/PeerTests/containers.py starts where no Docker is.
container_packages=(docker.io docker-compose debootstrap)

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n==> %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Installs the named Debian packages that are not there yet; asks for nothing.
install_packages() {
    command -v dpkg-query >/dev/null || {
        say "not a Debian system: make sure that these are installed: $*"
        return 0
    }
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    step "Installing ${missing[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "run as root: apt-get install -y ${missing[*]}"
        as_root=(sudo)
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# Stops with the way out unless a Swift toolchain of at least 6.3 is on the path.
need_swift() {
    command -v swift >/dev/null || fail "no swift on the path: install Swift 6.3 from https://www.swift.org/install/"
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] || fail "swift does not say its version"
    [ "$(printf '%s\n6.3\n' "$version" | sort -V | head -n 1)" = 6.3 ] || fail "Swift 6.3 is needed, this is $version"
}

# wait_for URL SECONDS [CA]: until the URL answers 200.
wait_for() {
    local url=$1 deadline=$((SECONDS + $2)) trust=()
    [ -z "${3:-}" ] || trust=(--cacert "$3")
    until curl --silent --fail --max-time 2 "${trust[@]}" --output /dev/null "$url"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# program CONFIGURATION NAME: the path of a built program, or nothing where it does not answer --version with one (not
# built, or not written yet).
program() {
    local path="$root/.build/$1/$2"
    [ -x "$path" ] && "$path" --version 2>/dev/null </dev/null | grep -q '[0-9]\.[0-9]' && printf '%s' "$path"
}
