"""What bench/plot and bench/profile take from bench/index: nothing else of them knows how that is made."""
import contextlib
import importlib.machinery
import importlib.util
import os
import signal
import sys
import types

# bench/index has no name that can be imported.
_loader = importlib.machinery.SourceFileLoader("bench_index", os.path.join(os.path.dirname(os.path.abspath(__file__)), "index"))
_index = importlib.util.module_from_spec(importlib.util.spec_from_loader(_loader.name, _loader))
_loader.exec_module(_index)

say, quiet, frontier, us_at = _index.say, _index.quiet, _index.frontier, _index.us_at


@contextlib.contextmanager
def server(arguments):
    """A server with omendb's table and index of one data set, by bench/index's arguments."""
    sys.argv = ["bench/profile", "--data", "debian-384", *arguments, "--only", "omendb", "--stages", "build"]
    args = _index.arguments()
    if len(args.data) != 1:
        sys.exit("bench/profile: one data set, please")
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    _index.install(_index.python_packages(args))
    with contextlib.ExitStack() as stack:
        keep = stack.enter_context(_index.working_directory(args.keep))
        bench = _index.Bench(args, keep)
        made = _index.RunningServer(args.dsn) if args.dsn else _index.PrivateServer(args, keep)
        bench.connect(stack.enter_context(made))
        bench.data = _index.Data(args.data[0], args)
        bench.load("omendb", False)
        bench.build("omendb", False)
        yield types.SimpleNamespace(
            data=bench.data, general=bench.general, ef=args.latency_ef,
            # A session; its table and index into memory, and a complaint if the plan is another.
            open=lambda **settings: bench.open("omendb", **settings),
            prepare=lambda db: (bench.prewarm(db), bench.check_plan(db, "omendb")),
            all_queries=bench.counting("items"),
            one_query="SELECT id FROM items"
                      f" ORDER BY embedding {_index.OPERATORS[bench.data.metric]} (SELECT embedding FROM q WHERE id = $1)"
                      f" LIMIT {_index.K}",
            create_index=lambda db, table, name: bench.create_index(db, table, name, "omendb"))
