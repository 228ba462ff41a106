"""What bench/plot and bench/profile take from omenbench: nothing else of them knows how that is made."""
import contextlib
import signal
import sys
import types

from omenbench import KINDS, STRATEGIES
from omenbench.command import arguments as index_arguments, python_packages
from omenbench.figures import frontier, us_at
from omenbench.host import install, quiet, say, working_directory

__all__ = ["KINDS", "STRATEGIES", "frontier", "quiet", "say", "server", "us_at"]


@contextlib.contextmanager
def server(arguments):
    """A server with omendb's table and index of one data set, by bench/index's arguments."""
    args, _ = index_arguments(["--data", "debian-384", *arguments, "--only", "omendb", "--stages", "build"])
    if len(args.data) != 1:
        sys.exit("bench/profile: one data set, please")
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    install(python_packages(args))
    # These need the packages.
    from omenbench.bench import Bench
    from omenbench.data import Data, K
    from omenbench.server import PrivateServer, RunningServer
    with contextlib.ExitStack() as stack:
        keep = stack.enter_context(working_directory(args.keep))
        # Not a result among those of bench/index.
        args.json = f"{keep}/profile.json"
        bench = Bench(args, keep)
        bench.connect(stack.enter_context(RunningServer(args.dsn) if args.dsn else PrivateServer(args, keep)))
        bench.data = Data(args.data[0], args)
        bench.load("omendb", False)
        bench.build("omendb", False)
        yield types.SimpleNamespace(
            data=bench.data, general=bench.general, ef=args.latency_ef,
            # A session; its table and index into memory, and a complaint if the plan is another.
            open=lambda **settings: bench.open("omendb", **settings),
            prepare=lambda db: (bench.prewarm(db), bench.check_plan(db, "omendb", bench.nearest())),
            all_queries=bench.nearest().counting,
            one_query=f"SELECT id FROM items ORDER BY embedding {bench.operator()} (SELECT embedding FROM q WHERE id = $1)"
                      f" LIMIT {K}",
            create_index=lambda db, table, name: bench.create_index(db, table, name, "omendb"))
