"""The server that is measured: one of our own in a namespace, or one that runs."""
import atexit
import contextlib
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time

from omenbench.figures import percentiles
from omenbench.host import TREE, Busy, Failure, die, install, quiet, say, shown, write

SERVER_SETTINGS = {
    "shared_buffers": "4GB",
    # A checkpoint or an autovacuum in the middle of one system's turn would be
    # counted against it. fsync stays on, for the inserts.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}

# Without namespaces of its own a run would have to install omendb where others
# may have theirs loaded. In these, private copies of PostgreSQL's two directories
# for extensions lie over the real ones. The working directory is /mnt. Standard
# input ends when bench/index does, however that ends: then the server stops.
NAMESPACE = r"""
set -eu
root=$1 base=$2 bin=$3 lib=$4 share=$5
if [ -n "$root" ]; then
    mount --rbind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
fi
mount --bind "$base" "$root/mnt"
mount --bind "$base/lib" "$root$lib"
mount --bind "$base/share" "$root$share"
exec chroot "${root:-/}" sh -c '
    cd /mnt
    echo ready
    cat >/dev/null
    for mode in fast immediate; do
        if [ ! -e data/postmaster.pid ]; then break; fi
        setpriv --reuid=postgres --regid=postgres --init-groups "$0/pg_ctl" -D data -m "$mode" -w -t 20 -s stop || true
    done' "$bin"
"""


class PrivateServer:
    """A PostgreSQL with this tree's extension, all of whose files are in the working directory."""

    def __init__(self, args, keep):
        self.source = os.path.abspath(args.source)
        self.omendb = "omendb" in args.systems
        self.root = "" if args.server == "host" else os.path.abspath(args.chroot)
        self.find_postgres(args)
        self.base = f"{keep}/pg{self.major}"
        self.dsn = f"host={self.base}/socket user=postgres"

    def find_postgres(self, args):
        def newest():
            found = glob.glob(f"{self.root}/usr/lib/postgresql/*/lib/pgxs/src/makefiles/pgxs.mk")
            return max((int(path.split("/lib/postgresql/")[1].split("/")[0]) for path in found), default=None)

        if not newest():
            if args.server == "host":
                shown([f"{TREE}/tools/setup", "demo"])
            elif not os.path.exists(self.root) or os.path.exists(f"{self.root}/.omendb-chroot"):
                say(f"making a Debian trixie with PostgreSQL and pgvector in {self.root}: about 2 GB, which stay there")
                install(["debootstrap"])
                # Sets up what the suite that compares with pgvector needs, that is both.
                shown([f"{TREE}/tools/debian-chroot", "trixie", self.root, "tools/setup", "check"],
                      env={**os.environ, "TESTS": "pgvector", "PGVERSION": "17"})
        self.major = newest()
        if not self.major:
            die(f"no PostgreSQL with its development files in {self.root or '/'}")
        self.bin = f"/usr/lib/postgresql/{self.major}/bin"

    def __enter__(self):
        os.makedirs(self.base, exist_ok=True)
        pg_config = ["chroot", self.root or "/", f"{self.bin}/pg_config"]
        self.version = quiet(pg_config + ["--version"]).strip()
        self.lib, self.share = (quiet(pg_config + [o]).strip() for o in ("--pkglibdir", "--sharedir"))
        self.copy_directories()
        self.namespace = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", NAMESPACE, "sh", self.root, self.base, self.bin, self.lib, self.share],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True)  # an interrupt is for us alone
        try:
            if self.namespace.stdout.readline() != "ready\n":
                die(why_no_namespace())
            if self.omendb:
                self.build_extension()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.namespace.stdin.close()
        self.namespace.wait()

    def copy_directories(self):
        stamp = f"{self.base}/version"
        if os.path.exists(stamp) and open(stamp).read() == self.version:
            return
        for name, path in [("lib", self.lib), ("share", self.share)]:
            shutil.rmtree(f"{self.base}/{name}", ignore_errors=True)
            shutil.copytree(self.root + path, f"{self.base}/{name}", symlinks=True)
        # Only what is built here is to be measured as omendb.
        quiet(["find", f"{self.base}/lib", f"{self.base}/share", "-name", "omendb*", "-prune", "-exec", "rm", "-r", "{}", "+"])
        with contextlib.suppress(FileNotFoundError):
            os.remove(f"{self.base}/built")
        write(stamp, self.version)

    def command(self, *command, user=None):
        inside = ["nsenter", f"--target={self.namespace.pid}", "--mount", "--root", "--wd"]
        if user:
            inside += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return inside + list(command)

    def build_extension(self):
        files = source_files(self.source)
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        stamp = f"{self.base}/built"
        if os.path.exists(stamp) and open(stamp).read() == digest:
            return
        say(f"building omendb of {self.source}")
        start = time.perf_counter()
        update_files(f"{self.base}/build", files)
        make = ["make", "-s", "-C", "build", f"-j{os.cpu_count()}", "with_llvm=no", f"PG_CONFIG={self.bin}/pg_config"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"}
        quiet(self.command(*make), env=environment)
        quiet(self.command(*make, "install"), env=environment)
        write(stamp, digest)
        say(f"built in {time.perf_counter() - start:.1f} s")

    def start(self, more={}, group=None):
        data, socket = f"{self.base}/data", f"{self.base}/socket"
        if not os.path.exists(f"{data}/PG_VERSION"):
            for path in (data, socket):
                shutil.rmtree(path, ignore_errors=True)
                os.mkdir(path)
            quiet(self.command("chown", "postgres:", "data", "socket"))
            quiet(self.command(f"{self.bin}/initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                               "--no-locale", "--no-sync", user="postgres"))
        settings = {"listen_addresses": "", "unix_socket_directories": "/mnt/socket", **SERVER_SETTINGS, **more}
        write(f"{data}/postgresql.auto.conf", "".join(f"{k} = '{v}'\n" for k, v in settings.items()))
        # It may have been left behind by a run whose shell in the namespace was killed as well.
        self.stop()
        pg_ctl = self.pg_ctl()
        # Its log is its only output: it must not hold our pipes open.
        result = subprocess.run(self.command(*pg_ctl, "-l", "data/server.log", "start", user="postgres"),
                                preexec_fn=group and group.enter)
        if result.returncode:
            die(f"the server did not start, see {data}/server.log")

    def pg_ctl(self):
        return [f"{self.bin}/pg_ctl", "-D", "data", "-w", "-s"]

    def stop(self):
        if subprocess.run(self.command(*self.pg_ctl(), "status", user="postgres"), capture_output=True).returncode == 0:
            quiet(self.command(*self.pg_ctl(), "-m", "fast", "stop", user="postgres"))

    def restart_cold(self):
        """With nothing in memory; says whether that is true of the system's cache as well."""
        self.stop()
        dropped = drop_caches()
        self.start()
        return dropped

    def restart_with_little(self, buffers, cache):
        """With so many bytes of shared buffers and of the system's cache; false where that
        cannot be had, and then the server does not run."""
        self.stop()
        group = MemoryGroup.make(buffers + cache + SERVERS_OWN_MEMORY)
        if not group or not drop_caches():
            return False
        self.start({"shared_buffers": f"{buffers // 1024}kB"}, group)
        return True

    def pgbench(self, database, script, options, settings, log=False):
        write(f"{self.base}/pgbench.sql", script)
        os.makedirs(f"{self.base}/log", exist_ok=True)
        command = self.command(f"{self.bin}/pgbench", "-h", "/mnt/socket", "-U", "postgres", *options,
                               *(["--log", "--log-prefix=/mnt/log/pgbench"] if log else []), "-f", "/mnt/pgbench.sql", database)
        return run_pgbench(command, settings, f"{self.base}/log" if log else None)


# What a server and a session take beside buffers and cache of data: 8 MB of private memory, 5 of
# shared memory, 6 of programs and libraries, 2 of the kernel's own.
SERVERS_OWN_MEMORY = 20 << 20


class MemoryGroup:
    """A cgroup whose processes and their cache of files may take so much memory."""

    def __init__(self, path):
        self.path = path

    @classmethod
    def make(cls, size):
        """The first way that works: version 1, version 2; or None."""
        for parent, limit in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]:
            group = cls(f"{parent}/omendb-bench-{os.getpid()}")
            try:
                os.makedirs(group.path, exist_ok=True)
                atexit.register(group.remove)
                with open(f"{group.path}/{limit}", "w") as f:
                    f.write(str(size))
                return group
            except OSError:
                group.remove()
        return None

    def enter(self):
        with open(f"{self.path}/cgroup.procs", "w") as f:
            f.write(str(os.getpid()))

    def remove(self):
        """Not while the server is in it."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path)


def drop_caches():
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("1")
        return True
    except OSError:
        return False


def why_no_namespace():
    # To keep what is mounted from showing elsewhere, / has to be a mount point.
    if not subprocess.run(["unshare", "--mount", "--propagation", "unchanged", "true"]).returncode:
        return ("/ is not a mount point, as in a plain chroot, and the server's namespace needs one;"
                " outside, \"mount --bind DIR DIR\" before \"chroot DIR\" makes it one. Or see --dsn")
    return "this machine allows no namespace, which a server of its own needs; see --dsn"


class RunningServer:
    """Somebody else's server; its extensions are what they are."""

    def __init__(self, dsn):
        self.dsn = dsn

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def pgbench(self, database, script, options, settings, log=False):
        program = shutil.which("pgbench") or max(glob.glob("/usr/lib/postgresql/*/bin/pgbench"), default=None)
        if not program:
            die("no pgbench found")
        with tempfile.TemporaryDirectory() as directory:
            write(f"{directory}/pgbench.sql", script)
            os.mkdir(f"{directory}/log")
            logs = f"{directory}/log" if log else None
            logging = ["--log", f"--log-prefix={logs}/pgbench"] if log else []
            return run_pgbench([program, *options, *logging, "-f", f"{directory}/pgbench.sql",
                                f"{self.dsn} dbname={database}"], settings, logs)


def run_pgbench(command, settings, log=None):
    """What it prints, and of a directory with its logs the percentiles of all transactions."""
    environment = {**os.environ, "PGOPTIONS": " ".join(f"-c {k}={v}" for k, v in settings.items())}
    with Busy() as busy:
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
    figures = {}
    for name, pattern in [("transactions", r"actually processed: (\d+)"), ("tps", r"tps = ([\d.]+) \(without"),
                          ("milliseconds", r"latency average = ([\d.]+) ms")]:
        match = re.search(pattern, result.stdout)
        if match:
            figures[name] = float(match[1])
    # An insert run may use up its rows, which ends its clients: its figures still hold.
    if result.returncode and "reached maximum value of sequence" not in result.stderr or "tps" not in figures:
        raise Failure(f"pgbench: {result.stderr.strip() or result.stdout}")
    if log:
        figures.update(percentiles(logged_times(log)))
    return {**figures, "busy": busy.cpus}


def logged_times(directory):
    """Microseconds of every transaction, the third word of its line; the logs are removed."""
    times = []
    for path in glob.glob(f"{directory}/pgbench.*"):
        with open(path) as f:
            times += [int(line.split()[2]) for line in f]
        os.remove(path)
    if not times:
        raise Failure("pgbench logged no transaction")
    return times


def source_files(tree):
    """What the extension is built from: path -> content."""
    found = {}
    for pattern in ("Makefile", "*.control", "sql/*", "src/**"):
        for path in glob.glob(f"{tree}/{pattern}", recursive=True):
            if os.path.isfile(path) and not path.endswith((".o", ".so", ".bc")):
                with open(path, "rb") as f:
                    found[os.path.relpath(path, tree)] = f.read()
    return found


def update_files(directory, files):
    """Only what differs is written, and so newer than its objects, whatever its time in
    the tree that it comes from: make then compiles that and no more."""
    present = source_files(directory)
    if present.get("Makefile") != files.get("Makefile"):
        shutil.rmtree(directory, ignore_errors=True)
        present = {}
    for path in set(present) - set(files):
        os.remove(f"{directory}/{path}")
    for path, content in files.items():
        if present.get(path) != content:
            os.makedirs(os.path.dirname(f"{directory}/{path}"), exist_ok=True)
            with open(f"{directory}/{path}", "wb") as f:
                f.write(content)
