"""What the scripts of the clients have in common: a server, steps that follow each other, and the counts."""
import asyncio

import synapse_server      # puts blackbox on the path

from blackbox import script
from blackbox.certificates import Authority
from blackbox.report import Run, expect
from blackbox.servers import of_kind

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
    options = script.options(description, "server", "database", "keep")
    for name in more:
        options.add_argument(f"--{name}", action="store_true")
    options, run = options.parse_args(), Run()
    with script.folder("client", options.keep) as folder, script.Databases(options.database) as databases:
        server = of_kind(options.server, folder / "server", Authority(folder / "ca"), databases.create("server"))
        if prepare:
            prepare(server)
            server.write()
        with server, asyncio.Runner() as runner:
            given = [{name for name in more if getattr(options, name)}] if more else []
            world = world_of(server, folder, *given)
            for sentence, step in world.steps():
                run.one(sentence, lambda: runner.run(asyncio.wait_for(step(), seconds)))
            runner.run(world.close())
    return run.close()
