"""What two or three servers do together. A flow is a function of a `Scene`, registered with `flow`."""
import importlib
import pathlib

ALL = [str(number) for number in range(1, 13)]
SAMPLE = ["1", "6", "10", "11", "12"]
TWO = ["our room", "their room"]
THREE = ["we create", "we pass on", "we come third"]
REFUSED = "snake oil"       # what fedchatd, as a policy server, does not sign


class Flow:
    def __init__(self, name, function, versions, since, clause, directions, quick, alone):
        self.name, self.function, self.versions, self.since, self.clause = name, function, versions, since, clause
        self.directions, self.quick, self.alone = directions, quick, alone

    def applies(self, version):
        return version is None or int(version) >= self.since


_flows = []


def flow(name, versions=SAMPLE, since=1, clause="", directions=TWO, quick=False, alone=False):
    """`versions`: the room versions to try, None where rooms do not matter; `since`: the first version that has it, by
    `clause`. `alone`: it breaks the network or stops servers, so nothing else may run meanwhile."""
    def register(function):
        _flows.append(Flow(name, function, versions, since, clause, directions, quick, alone))
        return function
    return register


def registered():
    for module in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        importlib.import_module(f"flows.{module.stem}" if module.stem != "__init__" else "flows")
    return list(_flows)
