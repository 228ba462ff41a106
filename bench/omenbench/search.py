"""Searches by one session: over the index, without it, and by a server that has just started."""
from omenbench.data import K, K_MANY
from omenbench.figures import medians, quiet_enough
from omenbench.host import say

COLD_QUERIES = 100
# So many go before, and fill the memory that there is.
WARMING_QUERIES = 200
TENTH_QUERIES = 500


def search(bench):
    """recall and microseconds of a query for ten rows (us) and for a hundred (us100). A
    hundred by the index even where the planner would rather read all rows. Then omendb's by
    hnsw.recall_target, which knows LIMIT."""
    data, args = bench.data, bench.args
    seqscan = "off" if args.disable_seqscan else "on"
    few, many = bench.nearest(), bench.nearest(k=K_MANY)
    points, plans = {s: [] for s in bench.systems}, {}
    with bench.sessions("search") as sessions:
        for system in bench.working("search"):
            with bench.attempt("search", system):
                plans[system] = bench.check_plan(sessions[system], system, few)
        for point in [{"ef": ef} for ef in args.ef] + [{"target": target} for target in args.targets]:
            def measured():
                return [s for s in bench.working("search") if "ef" in point or s == "omendb"]

            for system in measured():
                with bench.attempt("search", system):
                    db = sessions[system]
                    db.run(setting_of(point))
                    points[system].append({**point, **data.recall(bench.found(db, few), data.truth),
                                           "samples": [], "samples100": []})
                    db.run("SET enable_seqscan = off")
                    hundred = data.recall(bench.found(db, many), data.truth, K_MANY)
                    points[system][-1].update(recall100=hundred["recall"], incomplete100=hundred["incomplete"],
                                              index_used100=bench.uses_index(db, many))
                    db.run(f"SET enable_seqscan = {seqscan}")
            for done in range(3 * args.repetitions):
                working = measured()
                if done >= args.repetitions and all(quiet_enough(points[s][-1]["samples"]) for s in working):
                    break
                for system in working:
                    with bench.attempt("search", system):
                        points[system][-1]["samples"].append(bench.sample(sessions[system], few))
            for _ in range(args.repetitions):
                for system in measured():
                    with bench.attempt("search", system):
                        sessions[system].run("SET enable_seqscan = off")
                        points[system][-1]["samples100"].append(bench.sample(sessions[system], many))
                        sessions[system].run(f"SET enable_seqscan = {seqscan}")
            for system in measured():
                p = points[system][-1]
                p.update(medians(p["samples"]), us100=medians(p["samples100"])["us"])
                say(f"{data.key}: {system} {', '.join(f'{name} {value}' for name, value in point.items())}: recall {p['recall']:.4f}, "
                    f"{p['us']:.0f} us ({p['cpu_us']:.0f} of processor), @100 {p['recall100']:.4f}")
                if p["incomplete"] or p["unordered"]:
                    say(f"{system}: {p['incomplete']} queries with fewer than {K} rows or with a row twice, "
                        f"{p['unordered']} out of order")
    for system in bench.working("search"):
        bench.record("search", system, {"points": points[system], "index_used": plans[system],
                                        "settings": args.settings if system == "omendb" else []})


def setting_of(point):
    """The statement that makes searches run as a point of the curve says."""
    return f"SET hnsw.ef_search = {point['ef']}" if "ef" in point else f"SET hnsw.recall_target = {point['target']}"


def exact(bench):
    """Every row compared, over some of the queries; whoever has a recall below 1 here
    shows that the truth is none."""
    data = bench.data
    nearest = bench.nearest(queries=min(bench.args.exact_queries, len(data.query)))
    recall, samples = {}, {s: [] for s in bench.systems}
    with bench.sessions("exact") as sessions:
        for system in bench.working("exact"):
            with bench.attempt("exact", system):
                db = sessions[system]
                db.run("SET enable_indexscan = off")
                recall[system] = data.recall(bench.found(db, nearest), data.truth)["recall"]
        for _ in range(bench.args.repetitions):
            for system in bench.working("exact"):
                with bench.attempt("exact", system):
                    samples[system].append(bench.sample(sessions[system], nearest))
    for system in bench.working("exact"):
        figures = {"queries": nearest.queries, "recall": recall[system], **medians(samples[system])}
        say(f"{data.key}: exact, {system}: {figures['us']:.0f} us, recall {figures['recall']:.4f}")
        bench.record("exact", system, {**figures, "samples": samples[system]})


def statements(bench, queries):
    vectors = ["[" + ",".join(map(str, q.tolist())) + "]" for q in queries]
    return [f"SELECT id FROM items ORDER BY embedding {bench.operator()} '{v}' LIMIT {K}" for v in vectors]


def microseconds(db, queries):
    return [round(db.seconds(query) * 1e6) for query in queries]


def cold(bench):
    """The first queries of a session, the first of a server that has just started."""
    if not hasattr(bench.server, "restart_cold"):
        say("cold: not with --dsn, for that server is not ours to restart: left out")
        return
    data, ef = bench.data, bench.args.latency_ef
    queries = statements(bench, data.query[:COLD_QUERIES])
    samples, dropped = {s: [] for s in bench.systems}, []
    for _ in range(bench.args.repetitions):
        for system in bench.working("cold"):
            with bench.attempt("cold", system):
                dropped.append(bench.server.restart_cold())
                with bench.open(system, **{"hnsw.ef_search": ef}) as db:
                    times = microseconds(db, queries)
                means = {f"first{n}_us": round(sum(times[:n]) / len(times[:n])) for n in (1, 10, COLD_QUERIES)}
                samples[system].append({**means, "times": times})
    if not all(dropped):
        say("cold: the system's cache could not be dropped: only the server's was cold")
    for system in bench.working("cold"):
        figures = medians(samples[system], "first1_us", "first10_us", "first100_us")
        say(f"{data.key}: cold, {system}: {figures['first1_us']:.0f} us the first, {figures['first100_us']:.0f} us"
            f" the first {COLD_QUERIES} on average")
        bench.record("cold", system, {"ef": ef, "page_cache_dropped": all(dropped), **figures,
                                      "samples": samples[system]})


def tenth(bench):
    """Queries of a server whose shared buffers are a tenth of the index, in a cgroup with
    memory for a tenth of the index and the table as the system's cache. All systems
    get the same memory: that of the one that takes most."""
    if not hasattr(bench.server, "restart_with_little"):
        say("tenth: not with --dsn, for that server is not ours to restart: left out")
        return
    data, ef = bench.data, bench.args.latency_ef
    queries = statements(bench, data.query)
    warming = min(WARMING_QUERIES, len(queries) // 2)
    measured = queries[warming:warming + TENTH_QUERIES]
    sizes = {}
    for system in bench.working("tenth"):
        with bench.attempt("tenth", system), bench.open(system) as db:
            sizes[system] = db.rows("SELECT pg_relation_size('items_hnsw'), pg_table_size('items')")[0]
    buffers, cache = (max(size[0] for size in sizes.values()) // 10, max(sum(size) for size in sizes.values()) // 10) if sizes else (0, 0)
    samples = {s: [] for s in bench.systems}
    try:
        for _ in range(bench.args.repetitions):
            for system in bench.working("tenth"):
                with bench.attempt("tenth", system):
                    if not bench.server.restart_with_little(buffers, cache):
                        say("tenth: no cgroup of its own limits the server's memory here: left out")
                        return
                    with bench.open(system, **{"hnsw.ef_search": ef}) as db:
                        microseconds(db, queries[:warming])
                        before = reads(db)
                        times = microseconds(db, measured)
                        pages, kilobytes = (round((b - a) / len(measured), 1) for a, b in zip(before, reads(db)))
                    samples[system].append({"us": round(sum(times) / len(times)), "pages_read": pages,
                                            "kilobytes_read": kilobytes, "times": times})
    finally:
        bench.server.restart_cold()
    for system in bench.working("tenth"):
        figures = medians(samples[system], "us", "pages_read", "kilobytes_read")
        say(f"{data.key}: a tenth in memory, {system}: {figures['us']:.0f} us, {figures['pages_read']:.0f} pages a query")
        bench.record("tenth", system, {"ef": ef, "shared_buffers": buffers, "cache": cache, **figures, "samples": samples[system]})


def reads(db):
    """Pages that the session's searches read into shared buffers, and kilobytes that the
    system read from the disk for that."""
    db.run("SELECT pg_stat_force_next_flush()")
    pages = db.value("SELECT sum(pg_stat_get_blocks_fetched(c.oid) - pg_stat_get_blocks_hit(c.oid)) FROM pg_class c"
                     " WHERE c.oid IN ('items'::regclass, 'items_hnsw'::regclass)"
                     " OR c.oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass)")
    with open(f"/proc/{db.connection.info.backend_pid}/io") as f:
        return int(pages), int(dict(line.split(": ") for line in f)["read_bytes"]) / 1024
