"""What the scripts of the clients have in common: a server, steps that follow each other, and the counts."""
import argparse
import asyncio
import pathlib
import shutil
import tempfile

from synapse_server import Synapse      # puts blackbox on the path

from blackbox.certificates import Authority
from blackbox.postgres import Cluster
from blackbox.report import Run, expect
from blackbox.servers import Fedchatd

PASSWORD = "correct horse battery"


async def until(holds, what, seconds=30):
    """Waits for something that happens in the background."""
    end = asyncio.get_running_loop().time() + seconds
    while not holds():
        expect(asyncio.get_running_loop().time() < end, f"not within {seconds} s: {what() if callable(what) else what}")
        await asyncio.sleep(0.05)


def main(description, world_of, seconds=60, prepare=None, more=()):
    """Runs the steps of `world_of(server, folder)`: `steps()` gives sentences and coroutine functions, `close()` ends it.
    A step goes on from what those before it left. `prepare(server)` changes the server's settings before it starts.
    `more` are names of switches besides, of which `world_of` then gets a set with those that were given."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--server", choices=["fedchatd", "synapse"], default="fedchatd")
    options.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options.add_argument("--keep", action="store_true", help="leave the folder of the server and the clients")
    for name in more:
        options.add_argument(f"--{name}", action="store_true")
    options = options.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="client"))
    authority, cluster, run = Authority(folder / "ca"), None, Run()
    try:
        if options.server == "synapse":
            server = Synapse(folder / "server", authority)
        else:
            cluster = Cluster() if options.database == "postgres" else None
            server = Fedchatd(folder / "server", authority, cluster.create("server") if cluster else None)
        if prepare:
            prepare(server)
            server.write()
        with server, asyncio.Runner() as runner:
            given = [{name for name in more if getattr(options, name)}] if more else []
            world = world_of(server, folder, *given)
            for sentence, step in world.steps():
                run.one(sentence, lambda: runner.run(asyncio.wait_for(step(), seconds)))
            runner.run(world.close())
    finally:
        if cluster:
            cluster.stop()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return run.close()
