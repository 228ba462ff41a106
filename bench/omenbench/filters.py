"""Queries with a filter: the columns that it asks for, and what each system makes of it."""
import contextlib
import functools

import numpy as np

from omenbench import KINDS, STRATEGIES
from omenbench.data import K
from omenbench.figures import PERCENTILES, medians
from omenbench.host import say
from omenbench.statements import Prepared

# Share of the rows that match -> number of clusters of which one matches.
SELECTIVITIES = {0.5: 2, 0.1: 10, 0.01: 100, 0.001: 1000}
# A cluster of a ten thousandth would be a handful of rows: of the independent kind only.
LEAST = 0.0001
TENANTS = 1000
# Ranks of the tenants that a case asks for: the n-th has an n-th of the rows of the first.
RANKS = [(1, 3), (4, 30), (31, 300), (301, 1000)]
# Of a row: a number from 0 to 9,999 that has to do with nothing, its clusters, its group, and its tenant.
COLUMNS = ["n", *(f"c{k}" for k in SELECTIVITIES.values()), "grp", "tenant"]
# Of a query: the clusters that are nearest to it and farthest from it, and its group.
QUERY_COLUMNS = [*(f"{which}{k}" for which in ("near", "far") for k in SELECTIVITIES.values()), "grp"]
ENOUGH_SECONDS = 5  # of samples of one setting
# omendb as it comes, and each of its strategies forced; pgvector as it comes, which is off, and both ways of its iterative scan.
SETTINGS = {
    "omendb": {"default": {"hnsw.scan_strategy": "auto"}, **{s: {"hnsw.scan_strategy": s} for s in STRATEGIES}},
    "pgvector": {"default": {"hnsw.iterative_scan": "off"},
                 "strict_order": {"hnsw.iterative_scan": "strict_order"},
                 "relaxed_order": {"hnsw.iterative_scan": "relaxed_order"}},
}


@functools.lru_cache(maxsize=1)
def columns(data):
    """(COLUMNS of all rows, QUERY_COLUMNS of all queries). A query's cluster has at
    least half as many rows as its selectivity says."""
    generator = np.random.default_rng(6)
    rows, near, far = [generator.permutation(data.rows) * 10000 // data.rows], [], []
    length = np.linalg.norm(data.query, axis=1, keepdims=True) if data.metric == "cosine" else 1
    for k in SELECTIVITIES.values():
        centres = cluster_centres(data, k, generator)
        rows.append(nearest_centre(data, slice(None), centres))
        large = np.bincount(rows[-1], minlength=k) >= data.rows / k / 2
        distance = (centres ** 2).sum(axis=1) - 2 * (data.query / length) @ centres.T
        near.append(np.where(large, distance, np.inf).argmin(axis=1))
        far.append(np.where(large, distance, -np.inf).argmax(axis=1))
    groups, groups_asked = data.groups or (np.zeros(data.rows), np.zeros(len(data.query)))
    share = 1 / np.arange(1, TENANTS + 1)
    tenants = generator.choice(TENANTS, data.rows, p=share / share.sum())
    return (np.stack([*rows, groups[:data.rows], tenants], axis=1).astype(np.int32),
            np.stack([*near, *far, groups_asked], axis=1).astype(np.int32))


def direction(data, rows):
    """For cosine, what has the same direction is the same."""
    vectors = data.base[rows]
    if data.metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    return vectors


def cluster_centres(data, k, generator):
    """A few rounds of k-means over some of the rows."""
    some = np.sort(generator.choice(data.rows, min(data.rows, max(20 * k, 2000)), replace=False))
    vectors = direction(data, some)
    centres = vectors[generator.choice(len(some), k, replace=len(some) < k)]
    for _ in range(5):
        own = nearest(vectors, centres)
        order = np.argsort(own, kind="stable")
        present, first, count = np.unique(own[order], return_index=True, return_counts=True)
        centres[present] = np.add.reduceat(vectors[order], first) / count[:, None]
    return centres


def nearest_centre(data, rows, centres):
    numbers = np.arange(data.rows)[rows]
    return np.concatenate([nearest(direction(data, numbers[start:start + 10000]), centres)
                           for start in range(0, len(numbers), 10000)])


def nearest(vectors, centres):
    return ((centres ** 2).sum(axis=1) - 2 * vectors @ centres.T).argmin(axis=1)


class Case:
    """A kind of filter at a selectivity: its condition in SQL, and what is true. That of
    metadata is as selective as the queries' groups are on average."""

    def __init__(self, data, kind, selectivity, rows, queries, count):
        self.kind, self.selectivity, self.column = kind, selectivity, "n"
        if kind == "independent":
            self.where = self.where_of_one = f"items.n < {round(10000 * selectivity)}"
            matching = {0: np.flatnonzero(rows[:, 0] < round(10000 * selectivity))}
            wanted = np.zeros(count, int)
        else:
            column, asked = "grp", "grp"
            if kind != "metadata":
                clusters = SELECTIVITIES[selectivity]
                column, asked = f"c{clusters}", ("near" if kind == "correlated" else "far") + str(clusters)
            self.where = f"items.{column} = q.{asked}"
            self.where_of_one = f"items.{column} = (SELECT {asked} FROM q WHERE id = :x)"
            wanted = queries[:count, QUERY_COLUMNS.index(asked)]
            own = rows[:, COLUMNS.index(column)]
            matching = {c: np.flatnonzero(own == c) for c in np.unique(wanted)}
            self.column = column
        self.know(data, matching, wanted)
        if kind == "metadata":
            self.selectivity = round(self.matching / data.rows, 5)

    def know(self, data, matching, wanted):
        """The nearest rows of each query among those that match the value it asks for."""
        self.truth = [()] * len(wanted)
        for value, ids in matching.items():
            asking = np.flatnonzero(wanted == value)
            for i, right in zip(asking, data.nearest(ids, K, asking)):
                self.truth[i] = right
        self.matching = float(np.mean([len(matching[value]) for value in wanted]))

    def search(self, bench):
        return bench.nearest(where=self.where, queries=len(self.truth))

    def script(self, bench):
        """For pgbench."""
        return (f"\\set x random(0, {len(self.truth) - 1})\nSELECT id FROM items WHERE {self.where_of_one} ORDER BY embedding"
                f" {bench.operator()} (SELECT embedding FROM q WHERE id = :x) LIMIT {K};")


class TenantCase(Case):
    """Rows of one tenant, of those of some ranks: a statement prepared for all tenants, small and large."""

    def __init__(self, data, ranks, rows, count):
        self.kind, self.column = "tenant", "tenant"
        own = rows[:, COLUMNS.index("tenant")]
        present = np.intersect1d(np.arange(ranks[0] - 1, ranks[1]), own)
        self.wanted = np.random.default_rng(7).choice(present, count)
        self.know(data, {tenant: np.flatnonzero(own == tenant) for tenant in np.unique(self.wanted)}, self.wanted)
        self.selectivity = round(self.matching / data.rows, 5)

    def search(self, bench):
        return Prepared(f"SELECT id FROM items WHERE tenant = $1 ORDER BY embedding {bench.operator()}"
                        f" (SELECT embedding FROM q WHERE id = $2) LIMIT {K}", list(zip(self.wanted.tolist(), range(len(self.wanted)))))

    def script(self, bench):
        return (f"\\set x random(0, {len(self.truth) - 1})\n\\set tenant random({self.wanted.min()}, {self.wanted.max()})\n"
                f"SELECT id FROM items WHERE tenant = :tenant ORDER BY embedding {bench.operator()}"
                f" (SELECT embedding FROM q WHERE id = :x) LIMIT {K};")


def kinds_of(data, wanted=KINDS, selectivities=(*SELECTIVITIES, LEAST)):
    """(kind, selectivity) of every case but those of tenants; that of metadata is as it is."""
    return [(kind, selectivity) for kind in wanted if kind not in ("metadata", "tenant")
            for selectivity in [*SELECTIVITIES, *([LEAST] if kind == "independent" else [])] if selectivity in selectivities] + \
        ([("metadata", None)] if data.groups and "metadata" in wanted else [])


def cases_of(data, args, count):
    rows, queries = columns(data)
    return ([Case(data, kind, selectivity, rows, queries, count)
             for kind, selectivity in kinds_of(data, args.filter_kinds, args.filter_selectivities)],
            [TenantCase(data, ranks, rows, count) for ranks in RANKS] if "tenant" in args.filter_kinds else [])


def filters(bench):
    """Every case without an index of its column and with one; tenants only with one."""
    data, args = bench.data, bench.args
    count = min(args.filter_queries, len(data.query))
    figures = {system: [] for system in bench.working("filter")}
    cases, tenants = cases_of(data, args, count)
    with bench.sessions("filter") as sessions:
        for indexed, cases in [(False, cases), (True, cases + tenants)]:
            with column_indexes(bench, sessions, {case.column for case in cases if indexed}):
                for case in cases:
                    for ef in args.filter_ef:
                        for system, of_case in turns(bench, sessions, case, ef, indexed):
                            figures[system].append(of_case)
    for system in bench.working("filter"):
        bench.record("filter", system, {"queries": count, "cases": figures[system]})


@contextlib.contextmanager
def column_indexes(bench, sessions, columns):
    """Other stages have none."""
    for system in bench.working("filter"):
        with bench.attempt("filter", system):
            sessions[system].run(*(f"CREATE INDEX items_{column} ON items ({column})" for column in sorted(columns)))
    try:
        yield
    finally:
        for db in sessions.values():
            db.run(*(f"DROP INDEX IF EXISTS items_{column}" for column in sorted(columns)))


def settings_of(system, indexed):
    """name -> settings. Without an index there is nothing to make a bitmap of."""
    return {name: settings for name, settings in SETTINGS[system].items() if indexed or name != "bitmap"}


def turns(bench, sessions, case, ef, indexed):
    """(system, figures) of every system and setting, each timed by turns."""
    search, count = case.search(bench), len(case.truth)
    variants = {}
    for system in bench.working("filter"):
        for name, settings in settings_of(system, indexed).items():
            settings = {"hnsw.ef_search": ef, **settings}
            with bench.attempt("filter", system):
                db = sessions[system]
                switch(db, settings)
                found = bench.found(db, search)
                recall = bench.data.recall(found, case.truth)
                variants[system, name] = settings, {
                    "kind": case.kind, "selectivity": case.selectivity, "matching_rows": case.matching, "setting": name,
                    "filter_index": indexed, "ef": ef, **recall, "rows": round(float(np.mean([len(ids) for ids in found])), 2),
                    "short": recall["incomplete"], "index_used": bench.uses_index(db, search), "samples": [], "runs": []}
    for _ in range(bench.args.repetitions):
        for (system, name), (settings, figures) in variants.items():
            if system in bench.working("filter") and not took_enough(figures["samples"], count):
                with bench.attempt("filter", system):
                    switch(sessions[system], settings)
                    figures["samples"].append(bench.sample(sessions[system], search))
    for (system, name), (settings, figures) in variants.items():
        if system in bench.working("filter"):
            with bench.attempt("filter", system):
                figures.update(medians(figures["samples"]))
                # Of what omendb is not meant to do, the mean is enough.
                if name not in STRATEGIES:
                    if case.kind == "tenant":
                        settings = {**settings, "plan_cache_mode": "force_generic_plan"}
                    figures["runs"].append(bench.server.pgbench(
                        sessions[system].name, case.script(bench), ["-n", "-M", "prepared", "-T", str(bench.args.latency_seconds)],
                        bench.session(system, **settings), log=True))
                    figures.update(medians(figures["runs"], *PERCENTILES))
                say(f"{case.kind}, {case.selectivity:.2%}{', index' if indexed else ''}, {system} {name}: recall"
                    f" {figures['recall']:.4f}, {figures['rows']} rows, {figures['us']:.0f} us")
    return [(system, figures) for (system, _), (_, figures) in variants.items() if system in bench.working("filter")]


def took_enough(samples, queries):
    """Where a table is read for each query, one sample takes as long as many of others, and tells as much."""
    return sum(sample["us"] for sample in samples) * queries / 1e6 > ENOUGH_SECONDS


def switch(db, settings):
    db.run(*(f"SET {name} = '{value}'" for name, value in settings.items()))
