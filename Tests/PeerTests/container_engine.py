"""A Docker engine for a test: the one that runs here; or, for root, one of the test's own, which needs no registry.

The own engine makes its images from Debian's packages. It builds them in the machine's network, but without a bridge or
a firewall rule; then it runs in a network namespace of its own, where bridges, rules and published ports meet nobody else's.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import synapse_server      # puts blackbox on the path

from blackbox.processes import Process

root = pathlib.Path(__file__).resolve().parents[2]
INSIDE = "CONTAINERS_NAMESPACE"
BASE, POSTGRES = "fedchat-test-base", "fedchat-test-postgres"


def run(*command, check=True, **more):
    done = subprocess.run([str(word) for word in command], **{"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, **more})
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n{(done.stdout or '')[-2000:]}{(done.stderr or '')[-2000:]}")
    return done


def docker(*arguments, **more):
    return run("docker", *arguments, **more)


def missing():
    """Why there can be no engine, or nothing."""
    if not shutil.which("docker") or not shutil.which("docker-compose"):
        return "docker or docker-compose is not installed"
    if runs_already():
        return None
    if os.geteuid() != 0:
        return "no Docker engine answers, and only root can start one"
    absent = [name for name in ("dockerd", "debootstrap", "dnsmasq", "ip", "unshare") if not shutil.which(name)]
    return f"no Docker engine answers, and these are not installed: {' '.join(absent)}" if absent else None


def runs_already():
    return docker("info", check=False).returncode == 0


class Engine:
    """dockerd in the foreground, with its images kept in `folder`."""

    def __init__(self, folder, *options):
        folder.mkdir(parents=True, exist_ok=True)
        self.run_folder = pathlib.Path(tempfile.mkdtemp(prefix="docker"))       # a socket's path must be short
        os.environ["DOCKER_HOST"] = f"unix://{self.run_folder}/sock"
        self.process = Process(
            ["dockerd", "--data-root", folder / "engine", "--exec-root", self.run_folder / "exec", "--pidfile", self.run_folder / "pid",
             "--host", os.environ["DOCKER_HOST"], *options], folder / "log")

    def __enter__(self):
        self.process.wait_until(runs_already, 60, "dockerd")
        return self

    def __exit__(self, *_):
        self.process.terminate(60)
        for mounted in (self.run_folder / "exec/netns").glob("*"):
            run("umount", mounted, check=False)
        shutil.rmtree(self.run_folder, ignore_errors=True)


class Isolated(Engine):
    """One in this namespace, where a name server denies every name that the engine itself does not know: else each search for
    an SRV record would wait for an answer that cannot come."""

    address = "192.0.2.53"      # for documentation, so nobody's

    def __init__(self, folder):
        run("ip", "link", "set", "lo", "up")
        run("ip", "address", "add", f"{self.address}/32", "dev", "lo")
        self.dns = Process(["dnsmasq", "--keep-in-foreground", "--no-hosts", "--no-resolv", "--address=/#/", f"--listen-address={self.address}",
                            "--bind-interfaces", "--user=root", "--pid-file", "--conf-file=/dev/null"], folder / "dns.log")
        super().__init__(folder, f"--dns={self.address}")

    def __exit__(self, *_):
        super().__exit__()
        self.dns.terminate()


def build(base=None):
    """The images of docker-compose.yml, by its own Dockerfile."""
    argument = ["--build-arg", f"BASE={base}"] if base else []
    for target, name in (("server", "fedchatd"), ("proxy", "fedchat-proxy"), ("turn", "fedchat-turn")):
        docker("build", "--network=host", *argument, "--target", target, "--tag", name, root)


def build_without_registry(folder):
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    codename = release["VERSION_CODENAME"].strip('"')          # the programs were built for the libraries of this release
    with Engine(folder, "--bridge=none", "--iptables=false", "--ip6tables=false"):
        if docker("image", "inspect", BASE, check=False).returncode:
            with tempfile.TemporaryDirectory(prefix="debootstrap", dir=folder) as system:
                found = run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", f"Release: {codename}", check=False)
                run("debootstrap", "--variant=minbase", codename, system, *found.stdout.split()[:1], stdout=subprocess.DEVNULL, capture_output=False)
                archive = subprocess.Popen(["tar", "-C", system, "-c", "."], stdout=subprocess.PIPE)
                docker("import", "--change", 'CMD ["bash"]', "-", BASE, stdin=archive.stdout)
                if archive.wait():
                    raise RuntimeError(f"tar ended with {archive.returncode}")
        build(BASE)
        docker("build", "--network=host", "--build-arg", f"BASE={BASE}", "--tag", POSTGRES, root / "Tests/PeerTests/postgres-image")


def prepared(folder):
    """A context manager: within it, `docker` answers and all images are there. May start the program again, in a namespace."""
    if INSIDE in os.environ:
        os.environ["POSTGRES_IMAGE"] = POSTGRES
        return Isolated(folder)
    if runs_already():
        build(os.environ.get("BASE"))
        return open(os.devnull)
    build_without_registry(folder)
    os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
