"""Processes that a test starts, and ends by their id."""
import os
import pathlib
import signal
import socket
import subprocess
import time


def free_ports(count):
    """Ports of loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def bytes_resident(process_id, field="VmRSS"):
    """What the process holds in memory: now (VmRSS), or at most so far (VmHWM)."""
    for line in pathlib.Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field}")


class Process:
    """One process in the foreground whose output goes to a file."""

    def __init__(self, command, log, environment=None):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **(environment or {})})

    @property
    def id(self):
        return self.popen.pid

    @property
    def runs(self):
        return self.popen.poll() is None

    def terminate(self, seconds=15):
        """Asks it to end; returns its exit status. Kills it, and fails, if it does not end in time."""
        if self.runs:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"process {self.id} did not end within {seconds} s of SIGTERM")

    def kill(self):
        if self.runs:
            self.popen.kill()
        self.popen.wait()

    def wait_until(self, ready, seconds, what):
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.runs:
                raise RuntimeError(f"{what} ended with {self.popen.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not come up in {seconds} s:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, count=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
