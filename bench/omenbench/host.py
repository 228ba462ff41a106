"""This machine: messages, commands, Debian packages, directories, and how busy it is."""
import contextlib
import datetime
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def die(text):
    sys.exit(f"bench/index: {text}")


class Failure(Exception):
    """Of one system; the others go on."""


def install(packages):
    """Installs what is missing."""
    def missing(package):
        status = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                                capture_output=True, text=True)
        return status.stdout != "installed"

    packages = [p for p in packages if missing(p)]
    if not packages:
        return
    if os.geteuid() != 0:
        die("as root, please: apt-get install " + " ".join(packages))
    say("installing " + " ".join(packages))
    quiet(["apt-get", "update"])
    quiet(["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages],
          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def quiet(command, **options):
    """Runs it, and shows what it said only if it fails."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode:
        sys.stderr.write(result.stdout)
        die(f"{' '.join(command[:6])} failed")
    return result.stdout


def shown(command, **options):
    """Runs something that takes minutes and says how far it is."""
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, **options).returncode:
        die(f"{' '.join(command[:6])} failed")


@contextlib.contextmanager
def working_directory(keep):
    if not keep:
        keep = tempfile.mkdtemp(prefix="bench-index.", dir="/var/tmp")
        try:
            yield keep
        finally:
            shutil.rmtree(keep)
        return
    keep = os.path.abspath(keep)
    os.makedirs(keep, exist_ok=True)
    with open(f"{keep}/lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            die(f"{keep} is in use by another run")
        yield keep


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


class Busy:
    """How many processors the machine was busy with: more than our own show that
    others worked at the same time, and what was measured is too slow."""

    @staticmethod
    def ticks():
        with open("/proc/stat") as f:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, f.readline().split()[1:9])
        return user + nice + system + irq + softirq + steal

    def __enter__(self):
        self.start, self.first = time.perf_counter(), self.ticks()
        return self

    def __exit__(self, *_):
        elapsed = time.perf_counter() - self.start
        self.cpus = round((self.ticks() - self.first) / os.sysconf("SC_CLK_TCK") / max(elapsed, 0.01), 2)


def now():
    return datetime.datetime.now().isoformat(timespec="seconds")


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(": ")[1].strip() for line in f if line.startswith("model name")), "unknown")
    return {"processor": model, "processors": os.cpu_count(), "kernel": platform.release(),
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
            "load_at_start": os.getloadavg()}


def tree_state(source):
    git = ["git", "-c", f"safe.directory={os.path.abspath(source)}", "-C", source]
    describe = subprocess.run(git + ["describe", "--always", "--dirty"], capture_output=True, text=True)
    return describe.stdout.strip() or "unknown"


def package_version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True).stdout
