"""The hnsw index beside pgvector's, hnswlib and FAISS, on real data, in one run.

  bench/index                                       all but the long stages
  bench/index --quick --data fashion-mnist          the picture, in less than ten minutes
  bench/index --stages all sift-128-euclidean.hdf5 mine.fvecs --metric l2
                                                    everything; files beside the known data
  bench/index --resume build/bench-index/TIME.json  goes on where that run stopped
  bench/index --data debian-384 --stages build,search --only omendb --keep /var/tmp/bench-index
                                                    for the developer's loop: little more
                                                    than the build and the queries
  bench/index --server host --only omendb           the host's PostgreSQL
  bench/index --dsn 'host=/tmp user=postgres'       a server that runs, extensions installed

Needs root, except with --dsn: it installs the Debian packages it lacks, builds this
tree's extension and starts a PostgreSQL of its own, reachable by a socket only, whose
files all lie in the directory of --keep. No other installation is written to.
--server trixie is PostgreSQL 17 in a chroot, because Debian 12 has no pgvector.

With --keep, data and indexes stay for the next run. What no longer fits is made anew:
omendb's build after a change of the source, an index after a change of its library or
parameters, the tables after a change of the extension's SQL or of the data. Figures of
systems that a run does not measure are taken from earlier runs and marked.

Data: fashion-mnist is a Debian package; debian-lsa is made of the descriptions of
Debian's packages; debian-384 and glove-100 are fbin files in --data-dir; synthetic is
made up, and called so wherever its figures stand. Files are fbin, fvecs, bvecs or
ann-benchmarks' HDF5; --metric says what a file does not, and queries are those of the
HDF5 file, of --queries, or rows held out. At most 1,000.

The JSON is written after every stage of every system, and holds every sample. The
systems take turns within a stage. Stages (the first two also happen when a later one
needs them):
  load      tables, by binary COPY
  build     CREATE INDEX: time, size, WAL, memory
  hnswlib   its curve of recall and time, one thread, graph kept in --cache
  faiss     that of FAISS, likewise
  search    recall@10 and @100 and microseconds a query within one statement, for each --ef
  exact     microseconds a query that compares every row
  insert    rows a second by pgbench and by COPY into an index over half of the rows
  latency   a query a statement by pgbench: what a statement costs beside the search,
            and percentiles for 1 and 4 clients
  filter    queries with WHERE: matching rows anywhere, near the query, or far from it, or of
            one tenant; without an index of the filter's column and with one; omendb's own
            choice of a strategy beside each that it has
  radius    rows within a radius of the query, from none to 10,000
  pages     LIMIT 10 OFFSET n beside LIMIT 200: rows twice and rows left out; LIMIT 100
  distance  a query that shows the distance beside one that does not
  cold      the first queries after a restart, nothing in memory
  tenth     queries of a server with memory for a tenth of the index and the table
and, only where they are asked for, for they take minutes to hours:
  growth    search over --sizes of rows: the rows are repeated with noise, so that this
            is no real data, but as clustered as such
  churn     ten times, a fifth of the rows deleted, vacuumed and inserted again
  wide      the size of an index of 1,536 dimensions, with and without compact
  matrix    recall@10 beside pgvector with the same m, ef_construction and ef_search, for each
            operator class, kind of data (made up, whatever --data says) and way of making the
            index: every cell where omendb is below pgvector, those first; ten minutes
"""
import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys

from omenbench import KINDS, LIBRARIES, LONG_STAGES, MATRIX_CLASSES, MATRIX_DATA, MATRIX_WAYS, OWN_DATA, STAGES, SYSTEMS
from omenbench.host import TREE, die, install, say, working_directory
from omenbench.report import markdown
from omenbench.verdict import verdict

NAMES = ["fashion-mnist", "debian-lsa", "debian-384", "glove-100", "synthetic"]
SUFFIXES = (".fbin", ".fvecs", ".bvecs", ".hdf5", ".h5")
QUICK = {"rows": 20000, "ef": [10, 40, 160], "repetitions": 2, "insert_seconds": 2, "latency_seconds": 1,
         "latency_efs": [40], "filter_queries": 100, "radius_queries": 20, "page_queries": 20, "library_ef": [16, 48, 128], "sizes": [5000, 20000]}
# The stages that bench/plot makes a figure of.
DRAWN = {"search", "growth", "filter", "churn", "latency"}


def main():
    args, former = arguments()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    if args.report:
        results = read_json(args.report)
        print(markdown(results))
        print("\n".join(verdict(results)))
        return
    if set(args.stages) - set(LIBRARIES) and not args.dsn and os.geteuid() != 0:
        die("as root, please: it makes a PostgreSQL of its own, in a chroot where this system has no pgvector; or see --dsn")
    install(python_packages(args))
    # These need the packages.
    from omenbench.bench import Bench
    from omenbench.server import PrivateServer, RunningServer
    with contextlib.ExitStack() as stack:
        keep = stack.enter_context(working_directory(args.keep))
        bench = Bench(args, keep, former)
        # Whatever was measured until then is worth showing.
        stack.callback(show, bench)
        if set(args.stages) - set(LIBRARIES):
            server = RunningServer(args.dsn) if args.dsn else PrivateServer(args, keep)
            bench.connect(stack.enter_context(server))
        bench.run()
    if any(stage in DRAWN for stages in bench.measured.values() for stage in stages):
        plot(bench.path)
    # After all else, where it is seen.
    print("\n".join(verdict(bench.results())), flush=True)
    if bench.failures:
        sys.exit(1)


def show(bench):
    if bench.measured:
        bench.save()
        print(markdown(bench.results()), flush=True)
        say(f"written to {bench.path}")


def plot(path):
    program, directory = f"{TREE}/bench/plot", os.path.splitext(path)[0] + "-plots"
    if subprocess.run([program, path, directory]).returncode:
        die(f"{program} {path} {directory} failed")
    say(f"plots are in {directory}")


def arguments(given=None):
    """(arguments, the results of the run to resume or None)"""
    parser = argparse.ArgumentParser(prog="bench/index", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument

    def names(text):
        return [x for x in text.split(",") if x]

    def shares(text):
        return [float(x) for x in names(text)]

    def numbers(text):
        return [int(x.replace("_", "")) for x in names(text)]

    def pairs(text):
        return [[int(number) for number in x.split(":")] for x in names(text)]

    add("files", nargs="*", metavar="FILE", help="data beside that of --data: " + ", ".join(SUFFIXES))
    add("--data", type=names, metavar="LIST", help="of " + ",".join(NAMES) + " and files (default: the first four, or FILEs)")
    add("--metric", choices=["l2", "cosine", "ip"], help="of files that do not say, and of synthetic (there: l2)")
    add("--queries", metavar="FILE", help="of a single file of data (default: rows held out)")
    add("--rows", type=int, default=0, metavar="N", help="only the first N of each")
    add("--dims", type=int, default=128, metavar="N", help="of synthetic (default: 128)")
    add("--quick", action="store_true", help="other defaults: fewer rows, values of ef, repetitions, seconds")
    add("--stages", type=names, default=STAGES, metavar="LIST",
        help="of " + ",".join(STAGES + LONG_STAGES) + ", or all (default: " + ",".join(STAGES) + ")")
    add("--peers", type=names, default=SYSTEMS[1:], metavar="LIST",
        help="what to measure beside omendb (default: " + ",".join(SYSTEMS[1:]) + ")")
    add("--only", type=names, metavar="LIST", help="measure only these of " + ",".join(SYSTEMS))
    add("--ef", type=numbers, default=[10, 20, 40, 80, 160, 320], metavar="LIST",
        help="values of hnsw.ef_search (default: 10,20,40,80,160,320)")
    add("--targets", type=lambda text: [float(x) for x in names(text)], default=[0.8, 0.9, 0.95, 0.98, 0.99], metavar="LIST",
        help="values of hnsw.recall_target in the stage search, omendb only (default: .8,.9,.95,.98,.99)")
    add("--library-ef", type=numbers, metavar="LIST", help="values of hnswlib's and FAISS's ef (default: 16 to 400)")
    add("--repetitions", type=int, default=3, metavar="N",
        help="of every timing, of which the median counts; up to three times as many where others disturb (default: 3)")
    add("--m", type=int, default=16, help="of the index (default: 16)")
    add("--ef-construction", type=int, default=64, metavar="N", help="of the index (default: 64)")
    add("--with", dest="reloptions", action="append", default=[], metavar="NAME=VALUE",
        help="further index parameter, omendb only; may be repeated")
    add("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE",
        help="further setting of the sessions, omendb only; may be repeated")
    add("--build-processes", type=int, default=2, metavar="N", help="that build an index, leader included (default: 2)")
    add("--builds", type=int, default=1, metavar="N", help="of each index, of which the median counts (default: 1)")
    add("--maintenance-work-mem", default="4GB", metavar="SIZE", help="(default: 4GB)")
    add("--disable-seqscan", action="store_true", help="enable_seqscan = off in the queries")
    add("--insert-seconds", type=int, default=4, metavar="N", help="of each of the four insert runs (default: 4)")
    add("--sizes", type=numbers, default=[10000, 30000, 100000, 300000, 1000000], metavar="LIST",
        help="numbers of rows in the stage growth (default: 10000,30000,100000,300000,1000000)")
    add("--times", type=int, metavar="N", help="instead of --sizes: all rows, and N times as many")
    add("--noise", type=float, default=0.4, metavar="X",
        help="of the rows repeated there, in lengths of a row (default: 0.4)")
    add("--latency-ef", type=int, default=40, metavar="N",
        help="hnsw.ef_search of the stages insert, latency, radius, pages, distance, cold, tenth, churn, wide (default: 40)")
    add("--latency-efs", type=numbers, default=[20, 40, 160], metavar="LIST",
        help="hnsw.ef_search of the percentiles (default: 20,40,160)")
    add("--latency-seconds", type=int, default=3, metavar="N", help="of each run of queries by pgbench (default: 3)")
    add("--exact-queries", type=int, default=20, metavar="N", help="in the stage exact (default: 20)")
    add("--filter-queries", type=int, default=200, metavar="N", help="in the stage filter (default: 200)")
    add("--radius-queries", type=int, default=50, metavar="N", help="in the stage radius (default: 50)")
    add("--page-queries", type=int, default=50, metavar="N", help="in the stage pages (default: 50)")
    add("--filter-ef", type=numbers, default=[40], metavar="LIST", help="hnsw.ef_search there (default: 40)")
    add("--filter-kinds", type=names, default=KINDS, metavar="LIST", help=f"of {','.join(KINDS)} (default: all)")
    add("--filter-selectivities", type=shares, default=[0.5, 0.1, 0.01, 0.001, 0.0001], metavar="LIST",
        help="shares of the rows that match (default: 0.5,0.1,0.01,0.001,0.0001)")
    add("--matrix-classes", type=names, default=list(MATRIX_CLASSES), metavar="LIST", help=f"of {','.join(MATRIX_CLASSES)} (default: all)")
    add("--matrix-data", type=names, default=MATRIX_DATA, metavar="LIST",
        help=f"of {','.join(MATRIX_DATA)} (default: all, where the class has them)")
    add("--matrix-ways", type=names, default=MATRIX_WAYS, metavar="LIST", help=f"of {','.join(MATRIX_WAYS)} (default: all)")
    add("--matrix-m", type=pairs, default=[[4, 16], [4, 64], [16, 64]], metavar="LIST",
        help="m and ef_construction (default: 4:16,4:64,16:64)")
    add("--matrix-ef", type=numbers, default=[20, 40, 100], metavar="LIST", help="hnsw.ef_search there (default: 20,40,100)")
    add("--matrix-rows", type=int, default=4000, metavar="N", help="of each kind of data there (default: 4000)")
    add("--matrix-dims", type=int, default=64, metavar="N", help="there, but bits have 256 (default: 64)")
    add("--matrix-queries", type=int, default=200, metavar="N", help="there (default: 200)")
    add("--server", choices=["trixie", "host"], default="trixie", help="(default: trixie)")
    add("--dsn", metavar="STRING", help="libpq connection string of a running server; makes databases bench_index_*")
    add("--keep", metavar="DIR", help="keep the server's files there (default: a temporary directory)")
    add("--chroot", default="/var/tmp/chroots/trixie", metavar="DIR", help="of --server trixie (default: %(default)s)")
    add("--source", default=TREE, metavar="DIR", help="tree to build omendb from (default: this one)")
    add("--data-dir", default="/work/shared/data", metavar="DIR", help="with *.fbin files (default: %(default)s)")
    add("--cache", default="/var/tmp/bench-index-cache", metavar="DIR",
        help="for exact neighbours and the libraries' graphs (default: %(default)s)")
    add("--json", metavar="FILE", help="where the result goes (default: build/bench-index/TIME.json)")
    add("--resume", metavar="FILE", help="go on with the run whose result that is; its arguments are in there")
    add("--report", metavar="FILE", help="only print the tables of such a file")

    given, former = sys.argv[1:] if given is None else given, None
    args = parser.parse_intermixed_args(given)
    if args.resume:
        if vars(args) != {**vars(parser.parse_intermixed_args([])), "resume": args.resume}:
            parser.error("--resume takes the arguments from the file, and no others")
        file, former = args.resume, read_json(args.resume)
        if "resumed" not in former:
            die(f"{file} is the result of another version of this program")
        given = former["arguments"]
        args = parser.parse_intermixed_args(given)
        args.resume = file
    if args.quick:
        parser.set_defaults(**QUICK)
        args = parser.parse_intermixed_args(given, argparse.Namespace(resume=args.resume))
    args.arguments = given
    check(parser, args)
    return args, former


def check(parser, args):
    args.data = (args.data if args.data is not None else [] if args.files else NAMES[:4]) + args.files
    if args.stages == ["all"]:
        args.stages = STAGES + LONG_STAGES
    if not set(args.stages) - set(OWN_DATA):
        args.data = []
    args.systems = args.only or ["omendb"] + args.peers
    files = [x for x in args.data if x.endswith(SUFFIXES)]
    for chosen, known, option in [([x for x in args.data if x not in files], NAMES, "--data"),
                                  (args.stages, STAGES + LONG_STAGES, "--stages"),
                                  (args.systems, SYSTEMS, "--peers or --only"),
                                  (args.filter_kinds, KINDS, "--filter-kinds"),
                                  (args.matrix_classes, MATRIX_CLASSES, "--matrix-classes"),
                                  (args.matrix_data, MATRIX_DATA, "--matrix-data"),
                                  (args.matrix_ways, MATRIX_WAYS, "--matrix-ways")]:
        for name in chosen:
            if name not in known:
                parser.error(f"{option}: {name} is none of {','.join(known)}")
    for file in [*files, *([args.queries] if args.queries else [])]:
        if not os.path.isfile(file):
            parser.error(f"there is no file {file}")
    if any(not x.endswith(SUFFIXES[3:]) for x in files) and not args.metric:
        parser.error("--metric: l2, cosine or ip? fbin, fvecs and bvecs files do not say")
    if args.queries and (len(files) != 1 or files[0].endswith(SUFFIXES[3:])):
        parser.error("--queries is for a single file, fbin, fvecs or bvecs")
    if len({os.path.basename(x) for x in files}) < len(files):
        parser.error("two files of the same name")
    if any(len(pair) != 2 for pair in args.matrix_m):
        parser.error("--matrix-m: pairs such as 16:64")
    if args.sizes != sorted(args.sizes):
        parser.error("--sizes: not in ascending order")
    # As long as a socket's name, which may have 107 bytes.
    if args.keep and len(os.path.abspath(args.keep)) > 70:
        parser.error("--keep: the path is too long for a socket below it")


def read_json(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, json.JSONDecodeError) as error:
        die(f"{path}: {error}")


def python_packages(args):
    # Without OpenBLAS exact neighbours take a hundred times as long.
    packages = ["python3-numpy", "python3-psycopg2", "libopenblas0-pthread"]
    if "fashion-mnist" in args.data:
        packages.append("dataset-fashion-mnist")
    if "debian-lsa" in args.data:
        packages += ["python3-sklearn", "debian-archive-keyring"]
    if any(x.endswith(SUFFIXES[3:]) for x in args.data):
        packages.append("python3-h5py")
    if "hnswlib" in args.stages and "hnswlib" in args.systems:
        packages += ["g++", "libhnswlib-dev"]
    if "faiss" in args.stages and "faiss" in args.systems:
        packages.append("python3-faiss")
    return packages
