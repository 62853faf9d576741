"""`fedchatd doctor` on a set-up that is right, and on each that is wrong in one way."""
import os

from blackbox.report import case, expect, expect_equal


def doctor(server, seconds=90):
    done = server.run("doctor", "--config", server.configuration, seconds=seconds)
    return done, done.stdout


@case("doctor finds nothing wrong with a server that runs as it should", only="fedchatd")
def healthy(world):
    done, text = doctor(world.server)
    expect_equal(done.returncode, 0, text + done.stderr)
    for line in ("ok      federation", "ok      clients", "ok      ports", "ok      certificates", "ok      database", "ok      keys", "ok      disk"):
        expect(line in text, f"{line} is not in:\n{text}")
    expect("problem " not in text and text.rstrip().splitlines()[-1].startswith("0 problems"), text)


@case("doctor names what is wrong and how to mend it", only="fedchatd")
def wrong(world):
    other = world.another()
    other.start()
    try:
        key = other.folder / "federation-keys" / "signing.key"
        expect(key.exists(), "there is a key")
        # Another key than the one that is published.
        kept = key.read_text()
        words = kept.split()
        key.write_text(f"ed25519 a_other {words[2]}\n")
        done, text = doctor(other)
        expect(done.returncode == 3 and "another signing key" in text and "mend:" in text, text)
        key.write_text(kept)
        os.chmod(key, 0o644)
        done, text = doctor(other)
        expect("problem keys" in text and "chmod 600" in text, text)
        os.chmod(key, 0o600)
        # Clients are told a place where nobody is.
        right = other.settings["public_base_url"]
        other.settings["public_base_url"] = "http://127.0.0.1:9"
        other.write()
        done, text = doctor(other)
        expect(done.returncode == 3 and "problem clients" in text, text)
        # A name nobody knows.
        other.settings["public_base_url"] = "https://nobody.invalid"
        other.write()
        done, text = doctor(other)
        expect(done.returncode == 3 and "problem dns" in text and "AAAA" in text, text)
        other.settings["public_base_url"] = right
        # A key that is not the certificate's.
        tls = other.settings["listeners"][1]["tls"]
        certificate, wrong_key = other.authority.issue("fedchatd-other")
        os.chmod(wrong_key, 0o600)
        tls["private_key"] = str(wrong_key)
        other.write()
        done, text = doctor(other)
        expect(done.returncode == 1 and "is not the key of" in text, text)
    finally:
        other.stop()
    done, text = doctor(other)
    expect(done.returncode == 3 and "problem federation" in text and "nobody listens" in text, text)
