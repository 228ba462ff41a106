"""Searches by one session: over the index, without it, and by a server that has just started."""
from omenbench.data import K, K_MANY
from omenbench.figures import medians, quiet_enough
from omenbench.host import say

COLD_QUERIES = 100


def search(bench):
    """recall and microseconds of a query for ten rows (us) and for a hundred (us100). A
    hundred by the index even where the planner would rather read all rows."""
    data, args = bench.data, bench.args
    seqscan = "off" if args.disable_seqscan else "on"
    few, many = bench.nearest(), bench.nearest(k=K_MANY)
    points, plans = {s: [] for s in bench.systems}, {}
    with bench.sessions("search") as sessions:
        for system in bench.working("search"):
            with bench.attempt("search", system):
                plans[system] = bench.check_plan(sessions[system], system, few)
        for ef in args.ef:
            for system in bench.working("search"):
                with bench.attempt("search", system):
                    db = sessions[system]
                    db.run(f"SET hnsw.ef_search = {ef}")
                    points[system].append({"ef": ef, **data.recall(bench.found(db, few), data.truth),
                                           "samples": [], "samples100": []})
                    db.run("SET enable_seqscan = off")
                    hundred = data.recall(bench.found(db, many), data.truth, K_MANY)
                    points[system][-1].update(recall100=hundred["recall"], incomplete100=hundred["incomplete"],
                                              index_used100=bench.uses_index(db, many))
                    db.run(f"SET enable_seqscan = {seqscan}")
            for done in range(3 * args.repetitions):
                working = bench.working("search")
                if done >= args.repetitions and all(quiet_enough(points[s][-1]["samples"]) for s in working):
                    break
                for system in working:
                    with bench.attempt("search", system):
                        points[system][-1]["samples"].append(bench.sample(sessions[system], few))
            for _ in range(args.repetitions):
                for system in bench.working("search"):
                    with bench.attempt("search", system):
                        sessions[system].run("SET enable_seqscan = off")
                        points[system][-1]["samples100"].append(bench.sample(sessions[system], many))
                        sessions[system].run(f"SET enable_seqscan = {seqscan}")
            for system in bench.working("search"):
                point = points[system][-1]
                point.update(medians(point["samples"]), us100=medians(point["samples100"])["us"])
                say(f"{data.key}: {system} ef {ef}: recall {point['recall']:.4f}, {point['us']:.0f} us"
                    f" ({point['cpu_us']:.0f} of processor), @100 {point['recall100']:.4f}")
                if point["incomplete"] or point["unordered"]:
                    say(f"{system}: {point['incomplete']} queries with fewer than {K} rows or with a row twice, "
                        f"{point['unordered']} out of order")
    for system in bench.working("search"):
        bench.record("search", system, {"points": points[system], "index_used": plans[system],
                                        "settings": args.settings if system == "omendb" else []})


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


def cold(bench):
    """The first queries of a session, the first of a server that has just started."""
    if not hasattr(bench.server, "restart_cold"):
        say("cold: not with --dsn, for that server is not ours to restart: left out")
        return
    data, ef = bench.data, bench.args.latency_ef
    queries = ["[" + ",".join(map(str, q.tolist())) + "]" for q in data.query[:COLD_QUERIES]]
    statement = f"SELECT id FROM items ORDER BY embedding {bench.operator()} '%s' LIMIT {K}"
    samples, dropped = {s: [] for s in bench.systems}, []
    for _ in range(bench.args.repetitions):
        for system in bench.working("cold"):
            with bench.attempt("cold", system):
                dropped.append(bench.server.restart_cold())
                with bench.open(system, **{"hnsw.ef_search": ef}) as db:
                    times = [round(db.seconds(statement % q) * 1e6) for q in queries]
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
