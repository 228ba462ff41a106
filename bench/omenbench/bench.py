"""A run: which systems take part, their tables and indexes, and the results so far."""
import contextlib
import datetime
import hashlib
import json
import os
import re
import statistics
import time

import numpy as np
import psycopg2

from omenbench import EXTENSIONS, LIBRARIES, LONG_STAGES, OWN_DATA, STAGES, clients, filters, growth, libraries, matrix, pages, radius, search
from omenbench.data import DATA, MADE, OPERATOR_CLASSES, OPERATORS, Data
from omenbench.database import Database, Watch, truth_tuples, vector_tuples
from omenbench.host import TREE, Busy, Failure, die, machine, now, say, tree_state, write
from omenbench.server import SERVER_SETTINGS, source_files
from omenbench.statements import Nearest

# Parallel or compiled plans are not what is measured, and would differ by the cost estimate.
# An index under development may never come to an end.
SESSION_SETTINGS = {"jit": "off", "max_parallel_workers_per_gather": "0", "statement_timeout": "15min"}
FUNCTIONS = {
    "hnswlib": libraries.hnswlib, "faiss": libraries.faiss, "search": search.search, "exact": search.exact,
    "cold": search.cold, "tenth": search.tenth, "insert": clients.insert, "latency": clients.latency, "filter": filters.filters,
    "radius": radius.radius, "pages": pages.pages, "distance": pages.distance,
    "growth": growth.growth, "churn": growth.churn, "wide": growth.wide,
    "matrix": matrix.matrix,
}
# Those that search in the index over all rows.
INDEX_STAGES = {"build", "search", "latency", "filter", "radius", "pages", "distance", "cold", "tenth"}


class Bench:
    def __init__(self, args, keep, former=None):
        # Figures of earlier runs; the number is that of their form.
        self.args, self.last = args, f"{keep}/last-3.json"
        self.path = args.resume or args.json or \
            f"{TREE}/build/bench-index/{datetime.datetime.now():%Y%m%d-%H%M%S}.json"
        self.systems = [s for s in args.systems if s in EXTENSIONS]
        self.server = None
        self.failures = []  # [data set, stage, system, message]
        self.general = {"time": now(), "arguments": args.arguments, "machine": machine(),
                        "tree": "unknown" if args.dsn else tree_state(args.source),
                        "source": "unknown" if args.dsn else source_digest(args.source),
                        "session_settings": SESSION_SETTINGS, "resumed": []}
        self.measured = {}  # data set -> stage -> system -> figures
        self.expected_server = former and former.get("server")
        if former:
            check_same(former, self.general)
            self.measured = measured_in(former)
            self.general.update(time=former["time"], resumed=[*former["resumed"], now()])
        self.former = {key: {stage: dict(systems) for stage, systems in stages.items()}
                       for key, stages in self.measured.items()}

    def connect(self, server):
        self.server = server
        with Database(server.dsn, "postgres") as db:
            self.general["server"] = db.value("SELECT version()")
            if self.expected_server not in (None, self.general["server"]):
                die(f"--resume: that run measured {self.expected_server}")
            self.general["settings"] = dict(db.rows(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s) OR source LIKE '%%file'"
                " ORDER BY 1", [*SERVER_SETTINGS, "fsync", "synchronous_commit", "wal_level", "full_page_writes"]))
            library, share = (db.value("SELECT setting FROM pg_config WHERE name = %s", name)
                              for name in ("PKGLIBDIR", "SHAREDIR"))
            self.libraries, self.scripts, versions = {}, {}, {}
            for system in list(self.systems):
                extension = EXTENSIONS[system]
                versions[system] = db.value(
                    "SELECT default_version FROM pg_available_extensions WHERE name = %s", extension)
                if not versions[system]:
                    say(f"{system} is not installed in this server: left out")
                    self.systems.remove(system)
                    continue
                self.libraries[system] = db.value(
                    "SELECT encode(sha256(pg_read_binary_file(%s)), 'hex')", f"{library}/{extension}.so")
                self.scripts[system] = db.value(
                    "SELECT encode(sha256(string_agg(pg_read_binary_file(%s || f), '' ORDER BY f)), 'hex')"
                    " FROM pg_ls_dir(%s) f WHERE f ~ %s",
                    f"{share}/extension/", f"{share}/extension", rf"^{extension}(--.*\.sql|\.control)$")
            self.general["versions"] = versions

    def run(self):
        say(f"results go to {self.path}")
        names = [name for name in self.args.data if self.is_there(name)]
        asked = [stage for stage in STAGES + LONG_STAGES if stage in self.args.stages and stage not in OWN_DATA]
        own = [stage for stage in OWN_DATA if stage in self.args.stages]
        count = len(names) * len(asked) + len(own)
        for i, name in enumerate(names):
            self.data = Data(name, self.args)
            for stage in STAGES + LONG_STAGES:
                if stage in asked:
                    say(f"stage {i * len(asked) + asked.index(stage) + 1} of {count}: {self.data.key}, {stage}")
                if stage == "load":
                    self.each(stage, self.load, asked, set(asked) - set(LIBRARIES))
                elif stage == "build":
                    for _ in range(self.args.builds if stage in asked else 1):
                        self.each(stage, self.build, asked, set(asked) & INDEX_STAGES)
                elif stage in asked and (stage in LIBRARIES or self.working(stage)):
                    FUNCTIONS[stage](self)
        for number, stage in enumerate(own, count - len(own) + 1):
            self.data = matrix.MatrixData(self.args)
            say(f"stage {number} of {count}: {stage}")
            if self.working(stage):
                FUNCTIONS[stage](self)

    def is_there(self, name):
        if name in DATA and name not in MADE and not os.path.exists(f"{self.args.data_dir}/{name}.base.fbin"):
            say(f"{name} is not in {self.args.data_dir}: left out")
            return False
        return True

    def each(self, stage, function, asked, needed_by):
        """What a stage needs and finds missing, it makes; what was asked for is made anew."""
        for system in self.sound(stage):
            if any(not self.finished(later, system) for later in needed_by):
                with self.attempt(stage, system):
                    function(system, stage in asked and not self.finished(stage, system))

    def sound(self, stage):
        """The systems that failed neither in this stage nor in what all stages need."""
        broken = {system for key, failed, system, _ in self.failures
                  if key == self.data.key and failed in (stage, "load", "build")}
        return [s for s in self.systems if s not in broken]

    def finished(self, stage, system):
        """By the run that this one resumes."""
        figures = self.former.get(self.data.key, {}).get(stage, {}).get(system)
        return figures is not None and not figures.get("partial")

    def takes_part(self, library):
        return library in self.args.systems and not self.finished("search", library)

    def working(self, stage):
        return [s for s in self.sound(stage) if not self.finished(stage, s)]

    @contextlib.contextmanager
    def attempt(self, stage, system):
        """A turn of one system, whose failure leaves the others theirs."""
        try:
            yield
        except (psycopg2.Error, Failure) as error:
            say(f"{self.data.key}: {system} FAILED in {stage}: {str(error).strip()}")
            self.failures.append([self.data.key, stage, system, str(error).strip()])

    def record(self, stage, system, figures):
        """Figures that are partial are taken up again where a run is resumed."""
        stages = self.measured.setdefault(self.data.key, {"about": self.data.about()})
        stages.setdefault(stage, {})[system] = {"time": now(), **figures}
        self.save()

    # Tables and indexes

    def database_name(self, system):
        name = re.sub(r"\W", "_", f"bench_index_{system}_{self.data.key}")
        return name if len(name) < 64 else name[:54] + "_" + hashlib.sha256(name.encode()).hexdigest()[:8]

    def session(self, system, **settings):
        settings = {**SESSION_SETTINGS, **settings}
        if self.args.disable_seqscan:
            settings["enable_seqscan"] = "off"
        if system == "omendb":
            settings.update(x.split("=", 1) for x in self.args.settings)
        return settings

    def open(self, system, **settings):
        return Database(self.server.dsn, self.database_name(system), self.session(system, **settings))

    def load(self, system, always):
        data, name = self.data, self.database_name(system)
        signature = json.dumps([data.signature, self.scripts[system], filters.COLUMNS, filters.QUERY_COLUMNS])
        with Database(self.server.dsn, "postgres") as db:
            exists = db.value("SELECT 1 FROM pg_database WHERE datname = %s", name)
            if exists and not always:
                with self.open(system) as old:
                    if old.value("SELECT obj_description(to_regclass('gt'))") == signature:
                        return
            say(f"{data.key}: load, {system}")
            db.run(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} TEMPLATE template0")
        rows, queries = filters.columns(data)
        with self.open(system) as db:
            start = time.perf_counter()
            db.run(f"CREATE EXTENSION {EXTENSIONS[system]}",
                   f"CREATE TABLE items (id int PRIMARY KEY, embedding vector({data.dims}), {typed(filters.COLUMNS)})",
                   f"CREATE TABLE q (id int PRIMARY KEY, embedding vector({data.dims}), {typed(filters.QUERY_COLUMNS)})",
                   "CREATE TABLE gt (id int PRIMARY KEY, ids int[])")
            self.copy_in(db, "items", data.base, rows)
            self.copy_in(db, "q", data.query, queries)
            db.copy_in("gt", truth_tuples(data.truth))
            db.run("VACUUM (ANALYZE, FREEZE) items, q, gt")
            # Last of all, so that what is unfinished has no signature.
            db.run("COMMENT ON TABLE gt IS '%s'" % signature.replace("'", "''"))
            self.record("load", system, {
                "seconds": time.perf_counter() - start,
                "bytes": db.value("SELECT pg_table_size('items')")})

    @staticmethod
    def copy_in(db, table, vectors, numbers=None):
        for start in range(0, len(vectors), 50000):
            ids = np.arange(start, min(start + 50000, len(vectors)))
            some = slice(start, start + len(ids))
            db.copy_in(table, vector_tuples(ids, vectors[some], None if numbers is None else numbers[some]))

    def index_options(self, system):
        options = [f"m = {self.args.m}", f"ef_construction = {self.args.ef_construction}"]
        if system == "omendb":
            options += [x.replace("=", " = ", 1) for x in self.args.reloptions]
        return ", ".join(options)

    def build(self, system, always):
        """The index over all rows. Its comment says what it is of and what building it took."""
        with self.open(system) as db:
            if not db.value("SELECT 1 FROM pg_am WHERE amname = 'hnsw'"):
                raise Failure("it has no access method hnsw")
            wanted = {"library": self.libraries[system], "options": self.index_options(system),
                      "processes": self.args.build_processes, "memory": self.args.maintenance_work_mem}
            comment = json.loads(db.value("SELECT obj_description(to_regclass('items_hnsw'))") or "{}")
            if not always and all(comment.get(k) == v for k, v in wanted.items()):
                self.record("build", system, comment)
                return
            samples = self.measured.get(self.data.key, {}).get("build", {}).get(system, {}).get("samples", []) if always else []
            if len(samples) == self.args.builds:
                return
            say(f"{self.data.key}: build, {system}")
            db.run("DROP INDEX IF EXISTS items_hnsw")
            last = self.create_index(db, "items", "items_hnsw", system)
            samples = [*samples, {name: last[name] for name in ("seconds", "wal_bytes", "peak_memory_bytes", "busy")}]
            seconds = statistics.median(s["seconds"] for s in samples)
            figures = {"time": now(), **wanted, **last, "seconds": seconds, "samples": samples,
                       "rows_per_second": round(last["rows"] / seconds), "partial": always and len(samples) < self.args.builds}
            db.run("COMMENT ON INDEX items_hnsw IS '%s'" % json.dumps(figures).replace("'", "''"))
        self.record("build", system, figures)

    def create_index(self, db, table, index, system):
        workers = self.args.build_processes - 1
        rows = db.value(f"SELECT count(*) FROM {table}")
        db.run(f"SET maintenance_work_mem = '{self.args.maintenance_work_mem}'",
               f"SET max_parallel_maintenance_workers = {workers}",
               f"SET statement_timeout = '{max(15, rows // 3000)}min'",
               # Of large vectors the table itself holds pointers only, and would be
               # taken for too small for workers.
               f"ALTER TABLE {table} SET (parallel_workers = {workers})", "CHECKPOINT")
        del db.connection.notices[:]
        lsn = db.value("SELECT pg_current_wal_lsn()")
        with Watch(self.server.dsn, db.connection.info.backend_pid) as seen, Busy() as busy:
            seconds = db.seconds(f"CREATE INDEX {index} ON {table} USING hnsw"
                                 f" (embedding {OPERATOR_CLASSES[self.data.metric]}) WITH ({self.index_options(system)})")
        if seen.workers != workers:
            say(f"{system}: {seen.workers} parallel workers built, not {workers}")
        size, wal = db.rows(f"SELECT pg_relation_size('{index}'), pg_current_wal_lsn() - '{lsn}'::pg_lsn")[0]
        db.run("CHECKPOINT", f"SET statement_timeout = '{SESSION_SETTINGS['statement_timeout']}'")
        return {"seconds": round(seconds, 3), "workers": seen.workers, "rows": rows, "rows_per_second": round(rows / seconds),
                "bytes": size, "bytes_per_row": round(size / rows, 1), "wal_bytes": int(wal),
                "wal_bytes_per_row": round(int(wal) / rows), "busy": busy.cpus,
                "peak_memory_bytes": seen.peak_bytes or None, "peak_memory_how": Watch.HOW,
                "notices": [notice.strip() for notice in db.connection.notices]}

    # Searching

    def operator(self):
        return OPERATORS[self.data.metric]

    def nearest(self, **choice):
        return Nearest(self.data.metric, **{"queries": len(self.data.query), **choice})

    @staticmethod
    def found(db, nearest):
        return nearest.found(db)

    @staticmethod
    def sample(db, nearest):
        with Busy() as busy:
            cpu = db.cpu_seconds()
            seconds = nearest.seconds(db)
            cpu = db.cpu_seconds() - cpu
        us, cpu_us = (round(x / nearest.queries * 1e6, 1) for x in (seconds, cpu))
        return {"us": us, "cpu_us": cpu_us or us, "busy": busy.cpus}

    @contextlib.contextmanager
    def sessions(self, stage):
        """One for each system that works, its index and table in shared buffers."""
        with contextlib.ExitStack() as stack:
            sessions = {}
            for system in self.working(stage):
                with self.attempt(stage, system):
                    sessions[system] = stack.enter_context(self.open(system))
                    self.prewarm(sessions[system])
            yield sessions

    @staticmethod
    def prewarm(db):
        """Without the extension the first searches do it."""
        if db.value("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_prewarm'"):
            db.run("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
            db.rows("SELECT pg_prewarm(c.oid) FROM pg_class c WHERE c.oid IN ('items'::regclass, to_regclass('items_hnsw'))"
                    " OR c.oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass)")

    @staticmethod
    def uses_index(db, nearest):
        """By an index scan, or by omendb's own kind of scan."""
        return all(any(f'"{name}": "{nearest.index}"' in json.dumps(plan) for name in ("Index Name", "Index"))
                   for plan in nearest.plans(db))

    def check_plan(self, db, system, nearest):
        used = self.uses_index(db, nearest)
        if not used:
            say(f"{system}: THE PLAN DOES NOT USE THE INDEX (see --disable-seqscan)")
        return used

    def grown(self, db, system, vectors):
        """A table of these vectors with an index; what building that took."""
        db.run("DROP TABLE IF EXISTS grown", f"CREATE TABLE grown (id int PRIMARY KEY, embedding vector({vectors.dims}))")
        self.copy_in(db, "grown", vectors.base)
        db.run("VACUUM (ANALYZE, FREEZE) grown")
        return self.create_index(db, "grown", "grown_hnsw", system)

    # Results

    def results(self):
        """This run's, and of the same data what earlier runs measured of what it did not."""
        data = {key: {stage: dict(systems) for stage, systems in stages.items()} for key, stages in self.measured.items()}
        for key, stages in self.earlier().items():
            # Of a name with other data they say nothing.
            if key not in data or stages["about"] != data[key]["about"]:
                continue
            for stage, systems in stages.items():
                if stage != "about":
                    for system, figures in systems.items():
                        data[key].setdefault(stage, {}).setdefault(system, {**figures, "kept": True})
        return {**self.general, "failures": self.failures, "data": data}

    def earlier(self):
        try:
            with open(self.last) as f:
                return json.load(f)
        except FileNotFoundError:
            return {}

    def save(self):
        """After every stage of every system: whoever is interrupted goes on from there."""
        results, earlier = self.results(), self.earlier()
        for key, stages in self.measured.items():
            if earlier.get(key, stages)["about"] != stages["about"]:
                del earlier[key]
            for stage, systems in stages.items():
                earlier.setdefault(key, {}).setdefault(stage, {}).update(systems)
        replace(self.last, earlier)
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        replace(self.path, results)


def replace(path, value):
    """The whole file or the former one."""
    write(path + ".new", json.dumps(value, indent=1))
    os.replace(path + ".new", path)


def measured_in(results):
    """Without what the run took from earlier ones."""
    kept = {}
    for key, stages in results["data"].items():
        for stage, systems in stages.items():
            kept.setdefault(key, {})[stage] = systems if stage == "about" else \
                {system: figures for system, figures in systems.items() if not figures.get("kept")}
    return kept


def check_same(former, present):
    """Figures of two machines or two states of the source are not to be mixed."""
    different = [name for name in ("tree", "source") if former[name] != present[name]]
    different += [name for name in ("processor", "processors", "memory_gb", "kernel")
                  if former["machine"][name] != present["machine"][name]]
    if different:
        die("--resume: that run had another " + ", ".join(different))


def source_digest(tree):
    return hashlib.sha256(repr(sorted(source_files(tree).items())).encode()).hexdigest()


def typed(columns):
    return ", ".join(f"{name} int" for name in columns)
