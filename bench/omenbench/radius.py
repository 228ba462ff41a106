"""Rows within a radius: few of them and many, of omendb's own search and of what else there is."""
import numpy as np

from omenbench.figures import medians
from omenbench.filters import switch, took_enough
from omenbench.host import say
from omenbench.statements import Within

# Rows that lie within the radius of each query.
COUNTS = [0, 1, 10, 100, 1000, 10000]
AT_ONCE = 10000
# Of a distance: what the server's floats and those of this program may differ by.
TOLERANCE = 1e-6
# name -> (settings, whether the rows are asked for in order). pgvector's index gives rows in order only, and only up to
# a LIMIT: all rows.
VARIANTS = {
    "omendb": {"default": ({"hnsw.custom_scan": "on", "enable_indexscan": "on"}, False),
               "ordered": ({"hnsw.custom_scan": "on", "enable_indexscan": "on"}, True),
               "sequential scan": ({"hnsw.custom_scan": "off", "enable_indexscan": "off"}, False)},
    "pgvector": {name: ({"hnsw.iterative_scan": name, "enable_seqscan": "off", "enable_sort": "off"}, True)
                 for name in ("off", "strict_order", "relaxed_order")},
}


class Circles:
    """For each query a radius that so many rows lie within, midway to the next, and which those are."""

    def __init__(self, distances, count):
        """distances: of each query those of all rows, and these rows' numbers, in that order."""
        self.radii, self.rows = [], []
        for distance, ids in distances:
            if count == 0:
                radius = distance[0] - max(abs(distance[0]), 1e-3) / 2
            elif count < len(distance):
                radius = (distance[count - 1] + distance[count]) / 2
            else:
                radius = distance[-1] + max(abs(distance[-1]), 1e-3) / 2
            near = TOLERANCE * max(abs(radius), 1e-3)
            surely, perhaps = np.searchsorted(distance, [radius - near, radius + near])
            self.radii.append(float(radius))
            self.rows.append((set(ids[:surely].tolist()), set(ids[:perhaps].tolist())))

    def compare(self, found):
        """recall: the share of the rows within that were found; wrong: rows that lie outside, or came twice."""
        right = sum(len(within.intersection(ids)) for (within, _), ids in zip(self.rows, found))
        wanted = sum(len(within) for within, _ in self.rows)
        wrong = sum(len(ids) - len(perhaps.intersection(ids)) for (_, perhaps), ids in zip(self.rows, found))
        return {"recall": round(right / wanted, 5) if wanted else 1.0, "wrong": wrong,
                "rows": round(float(np.mean([len(ids) for ids in found])), 2), "within": round(wanted / len(self.rows), 2)}


def all_distances(data, query):
    distance = np.concatenate([data.distances(query, np.arange(start, min(start + AT_ONCE, data.rows)))
                               for start in range(0, data.rows, AT_ONCE)])
    order = np.argsort(distance, kind="stable")
    return distance[order], order


def radius(bench):
    data, args = bench.data, bench.args
    count = min(args.radius_queries, len(data.query))
    say(f"{data.key}: exact distances of {count} queries")
    distances = [all_distances(data, query) for query in range(count)]
    cases = {system: [] for system in bench.working("radius")}
    with bench.sessions("radius") as sessions:
        for within in (n for n in COUNTS if n < data.rows):
            circles = Circles(distances, within)
            for system, figures in turns(bench, sessions, circles):
                cases[system].append(figures)
    for system in bench.working("radius"):
        bench.record("radius", system, {"queries": count, "ef": args.latency_ef, "cases": cases[system]})


def turns(bench, sessions, circles):
    """(system, figures) of every system and way, each timed by turns."""
    searches = {ordered: Within(bench.data.metric, len(circles.radii), ordered, bench.data.rows) for ordered in (False, True)}
    variants = {}
    for system in bench.working("radius"):
        with bench.attempt("radius", system):
            set_radii(sessions[system], circles.radii)
            for name, (settings, ordered) in VARIANTS[system].items():
                db, settings = sessions[system], {"hnsw.ef_search": bench.args.latency_ef, **settings}
                switch(db, settings)
                figures = {"setting": name, **circles.compare(bench.found(db, searches[ordered])),
                           "index_used": bench.uses_index(db, searches[ordered]), "samples": []}
                variants[system, name] = settings, searches[ordered], figures
    for _ in range(bench.args.repetitions):
        for (system, _), (settings, search, figures) in variants.items():
            if system in bench.working("radius") and not took_enough(figures["samples"], search.queries):
                with bench.attempt("radius", system):
                    switch(sessions[system], settings)
                    figures["samples"].append(bench.sample(sessions[system], search))
    for (system, name), (_, _, figures) in variants.items():
        if system in bench.working("radius"):
            figures.update(medians(figures["samples"]))
            say(f"{bench.data.key}: {figures['within']} rows within, {system} {name}: {figures['rows']} rows, recall"
                f" {figures['recall']:.4f}, {figures['us']:.0f} us")
    return [(system, figures) for (system, _), (_, _, figures) in variants.items() if system in bench.working("radius")]


def set_radii(db, radii):
    db.run("DROP TABLE IF EXISTS radii", "CREATE TEMP TABLE radii (id int PRIMARY KEY, r float8)",
           "INSERT INTO radii VALUES " + ", ".join(f"({i}, {r!r})" for i, r in enumerate(radii)), "ANALYZE radii")
