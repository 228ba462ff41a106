"""The Markdown tables; everything comes from the JSON, so that they can be printed again."""
from omenbench import KINDS, STRATEGIES, SYSTEMS
from omenbench.figures import BELOW, CROWDED, MORE_THAN_THE_BEST, TIMES_THE_BEST, beside_best, frontier, matrix_cells, quiet_enough, us_at

LEVELS = [0.90, 0.95, 0.97, 0.98, 0.99, 0.995]
GROWTH_LEVELS = [0.95, 0.98, 0.99]
OURS, REFERENCE = "omendb", "pgvector"
NOTES = """us: microseconds a query, the median of several samples (smallest-largest); `noisy`: others worked then,
the processor's time says more. At a level of recall: by interpolation between values of ef on the fastest points;
`<`: the fastest point is better already. x: as many times as fast as pgvector, or as many times pgvector's rows a second.
@100 with enable_seqscan = off. hnswlib and FAISS have no server and no transactions; FAISS is as Debian compiles it."""


def markdown(results):
    machine, out = results["machine"], []
    out.append(f"{machine['processor']}, {machine['processors']} processors, {machine['memory_gb']} GB; "
               f"{' '.join(results.get('server', 'no server').split()[:2])}"
               + "".join(f", {system} {version}" for system, version in results.get("versions", {}).items() if version)
               + f"; tree {results['tree']}; {results['time']}"
               + "".join(f", resumed {time}" for time in results.get("resumed", [])))
    for name, stages in results["data"].items():
        about = stages["about"]
        made_up = ", SYNTHETIC: " + about["source"] if about.get("synthetic") else ""
        out.append(f"\n## {name} ({about['rows']:,} x {about['dims']}, {about['metric']}{made_up})")
        for stage, render in RENDER.items():
            systems = {s: stages[stage][s] for s in SYSTEMS if s in stages.get(stage, {})}
            if systems:
                out += ["", *render(systems)]
        kept = sorted({f"{system}'s {stage} of {figures['time']}" for stage, figures_of in stages.items()
                       if stage != "about" for system, figures in figures_of.items() if figures.get("kept")})
        if kept:
            out += ["", "From earlier runs: " + ", ".join(kept) + "."]
    for key, stage, system, message in results["failures"]:
        out.append(f"\n**{system} failed** in {stage} of {key}: {message.splitlines()[0] if message else ''}")
    return "\n".join([*out, "", NOTES]) + "\n"


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|",
            *("| " + " | ".join(str(x) for x in row) + " |" for row in rows)]


def spread(samples, name="us"):
    values = [s[name] for s in samples]
    return f"({min(values):,.0f}-{max(values):,.0f})"


def with_spread(figures, name="us", samples="samples"):
    return f"{figures[name]:,.0f} {spread(figures[samples], 'us' if samples != 'samples' else name)}"


def ratio(more, less):
    return f"{more / less:.2f}" if more and less else "-"


def reference(systems, name):
    """pgvector's figure, or None where it was not measured."""
    return systems.get(REFERENCE, {}).get(name)


def counterpart(systems, name, figures, keys, value):
    """The value of that of pgvector's figures which was measured under the same conditions."""
    return next((x[value] for x in systems.get(REFERENCE, {}).get(name, []) if all(x.get(k) == figures.get(k) for k in keys)), None)


def clients(number):
    return "1 client" if number == 1 else f"{number} clients"


def noisy(busy):
    return "noisy" if busy > CROWDED else ""


def report_build(systems):
    rows = []
    for s, b in systems.items():
        peak = b.get("peak_memory_bytes")
        seconds = [sample["seconds"] for sample in b.get("samples", [])]
        took = f"{b['seconds']:.1f}" + (f" ({min(seconds):.1f}-{max(seconds):.1f})" if len(seconds) > 1 else "")
        rows.append([s, took, ratio(reference(systems, "seconds"), b["seconds"]), f"{b['rows_per_second']:,}",
                     b["workers"], f"{b['bytes_per_row']:,.0f}", f"{b['bytes'] / 1e6:.0f}",
                     f"{b['wal_bytes_per_row']:,}" if "wal_bytes_per_row" in b else "", f"{peak / 1e6:,.0f}" if peak else "-",
                     b.get("busy", ""), "; ".join(b.get("notices", []))])
    hows = {b["peak_memory_how"]: None for b in systems.values() if b.get("peak_memory_bytes")}
    return table(["build", "seconds", "x", "rows/s", "workers", "bytes/row", "MB", "WAL bytes/row", "peak memory MB",
                  "CPUs busy", ""], rows) + (["", "Peak memory: " + "; ".join(hows) + "."] if hows else [])


def report_search(systems):
    rows = []
    for system, search in systems.items():
        for p in search["points"]:
            notes = [] if search.get("index_used", True) else ["NO INDEX"]
            notes += [f"{p[n]} {n}" for n in ("incomplete", "unordered") if p[n]]
            notes += [] if p.get("index_used100", True) else ["NO INDEX @100"]
            notes += [] if quiet_enough(p["samples"]) else ["noisy"]
            rows.append([system, p.get("ef") or f"target {p['target']:g}", f"{p['recall']:.4f}", f"{p['strict_recall']:.4f}", with_spread(p),
                         f"{p['cpu_us']:,.0f}", f"{p['recall100']:.4f}", with_spread(p, "us100", "samples100"), ", ".join(notes)])
    return (table(["search", "ef", "recall@10", "same rows", "us", "us of processor", "recall@100", "us @100", ""], rows)
            + ["", *report_levels(systems, "recall@10, us", "us", "recall"),
               "", *report_levels(systems, "recall@10, us of processor", "cpu_us", "recall"),
               "", *report_levels(systems, "recall@100, us", "us100", "recall100")])


def report_levels(systems, title, clock, recall):
    """What each needs for the same recall, by interpolation on its curve."""
    curves = {s: frontier(search["points"], clock, recall) for s, search in systems.items()}
    head, rows = [title], []
    for s in curves:
        head += [s] if s == REFERENCE or REFERENCE not in curves else [s, "x"]
    for level in LEVELS:
        us = {s: us_at(curve, level) for s, curve in curves.items()}
        row = [f"{level:.3f}"]
        for s in curves:
            row += [show_us(us[s])]
            if REFERENCE in curves and s != REFERENCE:
                row += [show_ratio(us[REFERENCE], us[s])]
        rows.append(row)
    return table(head, rows)


def show_us(us):
    return "-" if us is None else f"{'<' if us[1] else ''}{us[0]:,.0f}"


def show_ratio(theirs, ours):
    if theirs is None or ours is None or theirs[1] and ours[1]:
        return "-"
    return f"{'<' if theirs[1] else '>' if ours[1] else ''}{theirs[0] / ours[0]:.2f}"


def report_exact(systems):
    return table(["exact, no index", "queries", "us", "x", "recall@10"],
                 [[s, e["queries"], with_spread(e), ratio(reference(systems, "us"), e["us"]), f"{e['recall']:.4f}"]
                  for s, e in systems.items()])


def report_insert(systems):
    runs, copies, rows = [], [], []
    for system, insert in systems.items():
        for r in insert["runs"]:
            by = "INSERT, " + clients(r["clients"]) + (", asynchronous" if r["synchronous_commit"] == "off" else "")
            runs.append([system, by, f"{r['tps']:,.0f}", ratio(r["tps"], counterpart(systems, "runs", r, ("clients", "synchronous_commit"), "tps")),
                         f"{r['wal_bytes_per_row']:,}", noisy(r["busy"]) if r["clients"] == 1 else ""])
        for r in insert["copy"]:
            copies.append([system, "COPY, " + clients(r["clients"]), f"{r['rows_per_second']:,}",
                           ratio(r["rows_per_second"], counterpart(systems, "copy", r, ("clients",), "rows_per_second")),
                           f"{r['wal_bytes_per_row']:,}", noisy(r["busy"]) if r["clients"] == 1 else ""])
        after = insert["after"]
        rows.append([system, f"{after['recall']:.4f}", with_spread(after), f"{after['cpu_us']:,.0f}"])
    return (table(["into an index", "by", "rows/s", "x", "WAL bytes/row", ""], runs + copies)
            + ["", *table(["after these", f"recall@10, ef {after['ef']}", "us", "us of processor"], rows)])


def report_latency(systems):
    kinds = ("us_query", "us_statement", "us_overhead", "us_trivial")
    rows = []
    for s, x in systems.items():
        for r in x["runs"]:
            rows.append([s, r["clients"], r["ef"], f"{r['qps']:,.0f} {spread(r['samples'], 'qps')}",
                         ratio(r["qps"], counterpart(systems, "runs", r, ("clients", "ef"), "qps")),
                         *(with_spread(r, p) for p in ("p50_us", "p95_us", "p99_us"))])
    return (table(["latency", "ef", "us by pgbench", "us in one statement", "difference", "us of a trivial statement", ""],
                  [[s, x["ef"], *(f"{x[kind]:.0f}" for kind in kinds), noisy(x["busy"])] for s, x in systems.items()])
            + ["", *table(["latency", "clients", "ef", "queries/s", "x", "p50 us", "p95 us", "p99 us"], rows)])


def report_filter(systems):
    rows = []
    cases = [(c, s) for s, f in systems.items() for c in f["cases"]]
    for c, s in sorted(cases, key=lambda x: (-x[0]["selectivity"], x[0]["ef"])):
        strict = counterpart(systems, "cases", {**c, "setting": "strict_order"}, (*SAME_FILTER, "setting"), "us")
        rows.append([c["kind"], share(c), f"{c['matching_rows']:,.0f}", index_of_filter(c), s, c["setting"], c["ef"],
                     f"{c['recall']:.4f}", f"{c['rows']:.2f}", c["short"], with_spread(c), ratio(strict, c["us"]),
                     *(f"{c[p]:,.0f}" if p in c else "" for p in ("p50_us", "p95_us", "p99_us")),
                     "" if c["index_used"] else "not by the index"])
    rows.sort(key=lambda row: KINDS.index(row[0]))
    return table(["filter", "selectivity", "rows that match", "its index", "", "setting", "ef", "recall@10", "rows",
                  "queries with too few", "us", "x, strict_order", "p50 us", "p95 us", "p99 us", ""], rows) + report_choice(systems)


def report_choice(systems):
    """What omendb chooses beside the best of its strategies."""
    rows, dear = [], 0
    for s, f in systems.items():
        for c, us, best, us_of_best, too_dear, which in beside_best(f["cases"], STRATEGIES, SAME_FILTER):
            dear += too_dear
            rows.append([c["kind"], share(c), index_of_filter(c), s, c["ef"], f"{us:,.0f}", f"{us_of_best:,.0f}", best,
                         f"{us / us_of_best:.2f}", "processor" if which == "cpu_us" else "", "TOO MUCH" if too_dear else ""])
    if not rows:
        return []
    rows.sort(key=lambda row: KINDS.index(row[0]))
    return ["", *table(["choice of strategy", "selectivity", "its index", "", "ef", "us", "us of the best", "which is", "ratio", "by", ""], rows),
            "", "By the processor's time where others disturbed a measurement. "
            f"More than {TIMES_THE_BEST} times the best and {MORE_THAN_THE_BEST} us: {dear} of {len(rows)}."]


SAME_FILTER = ("kind", "selectivity", "ef", "filter_index")


def share(case):
    return f"{case['selectivity']:.1%}" if case["selectivity"] >= 0.001 else f"{case['selectivity']:.2%}"


def index_of_filter(case):
    return "yes" if case.get("filter_index") else "no"


def report_radius(systems):
    """x: as many times as fast as omendb's server without an index."""
    rows = []
    for s, x in systems.items():
        for c in x["cases"]:
            scan = next((o["us"] for o in systems.get("omendb", {}).get("cases", [])
                         if o["setting"] == "sequential scan" and o["within"] == c["within"]), None)
            rows.append([f"{c['within']:,.0f}", s, c["setting"], f"{c['recall']:.4f}", f"{c['rows']:,.1f}", c["wrong"] or "", with_spread(c),
                         ratio(scan, c["us"]), "" if c["index_used"] or c["setting"] == "sequential scan" else "not by the index"])
    rows.sort(key=lambda row: float(row[0].replace(",", "")))
    ef = next(iter(systems.values()))["ef"]
    return table(["radius: rows within", "", "setting", f"recall, ef {ef}", "rows", "wrong rows", "us", "x, sequential scan", ""], rows)


def report_pages(systems):
    rows = [[s, c["setting"], f"{c['rows']:.1f}", c["twice"], c["missing"], with_spread(c, "us10", "samples10"), with_spread(c, "us100", "samples100"),
             ratio(c["us100"], c["us10"]), f"{c['recall100']:.4f}", with_spread(c, "us_last", "samples_last"),
             "" if c["index_used"] else "not by the index"] for s, x in systems.items() for c in x["cases"]]
    some = next(iter(systems.values()))
    return table([f"{some['pages']} pages of 10", "setting", "rows", "twice", "missing", f"us LIMIT 10, ef {some['ef']}", "us LIMIT 100", "ratio",
                  "recall@100", "us of the last page", ""], rows)


def report_distance(systems):
    return table(["distance", "ef", "us, hidden", "us, shown", "ratio"],
                 [[s, d["ef"], *(f"{d['us_' + name]:,.0f} {spread(d['samples'][name])}" for name in ("hidden", "shown")),
                   ratio(d["us_shown"], d["us_hidden"])] for s, d in systems.items()])


def report_cold(systems):
    return table(["cold", "ef", "us, the first", "mean of 10", "mean of 100", "x, the first 100", ""],
                 [[s, c["ef"], *(with_spread(c, f"first{n}_us") for n in (1, 10, 100)),
                   ratio(reference(systems, "first100_us"), c["first100_us"]),
                   "" if c["page_cache_dropped"] else "the system's cache was NOT dropped"] for s, c in systems.items()])


def report_tenth(systems):
    return table(["a tenth in memory", "ef", "us", "x", "pages read", "KB read", "shared buffers, cache MB"],
                 [[s, t["ef"], with_spread(t, "us"), ratio(reference(systems, "us"), t["us"]), *(with_spread(t, f) for f in ("pages_read", "kilobytes_read")),
                   f"{t['shared_buffers'] / 1e6:.0f}, {t['cache'] / 1e6:.0f}"] for s, t in systems.items()])


def report_growth(systems):
    """Of each system, the time at levels of recall for each size."""
    head = ["growth: rows"]
    for s in systems:
        head += [f"{s}: build s", *(f"us at {level}" for level in GROWTH_LEVELS)]
    by_rows = {}
    for s, growth in systems.items():
        for size in growth["sizes"]:
            curve = frontier(size["points"])
            by_rows.setdefault(size["rows"], {})[s] = [
                f"{size['build']['seconds']:.1f}", *(show_us(us_at(curve, level)) for level in GROWTH_LEVELS)]
    empty = ["-"] * (1 + len(GROWTH_LEVELS))
    first = next(iter(systems.values()))
    rows = [[f"{size:,}", *(cell for s in systems for cell in of.get(s, empty))] for size, of in sorted(by_rows.items())]
    return (table(head, rows)
            + ["", f"Beyond {first['real_rows']:,} rows NOT REAL DATA: the rows again, with noise of {first['noise']}"
               " of their length."]
            + [f"**Not complete**: {s}." for s, growth in systems.items() if growth["partial"]])


def report_churn(systems):
    rows = []
    for system, churn in systems.items():
        for i, state in enumerate(churn["states"]):
            rows.append([system, i, f"{state['recall']:.4f}", with_spread(state), f"{state['bytes'] / 1e6:.0f}",
                         f"{state['vacuum_seconds']:.1f}" if i else "", f"{state['insert_seconds']:.1f}" if i else ""])
    return table(["churn", "round", f"recall@10, ef {churn['ef']}", "us", "MB", "vacuum s", "insert s"], rows)


def report_wide(systems):
    return table(["1,536 dimensions", "options", "bytes/row", "recall@10", "us", "build s"],
                 [[system, name, f"{x['bytes_per_row']:,.0f}", f"{x['recall']:.4f}", with_spread(x), f"{x['seconds']:.1f}"]
                  for system, wide in systems.items() for name, x in wide.items() if isinstance(x, dict)])


def report_matrix(systems):
    """The cells below pgvector's first, then what the cells of each class, kind of data, ... have in common."""
    out = [f"**Not complete**: {s}." for s, x in systems.items() if x["partial"]]
    out += [f"**NO INDEX**: {s}, {g['class']}, {g['data']}, {g['way']}, m {g['m']}." for s, x in systems.items() for g in x["graphs"] if not g["index_used"]]
    if OURS not in systems or REFERENCE not in systems:
        return out + ["", *table(["recall matrix", "graphs"], [[s, len(x["graphs"])] for s, x in systems.items()])]
    off = {tuple(c[name] for name in (*MATRIX_CELL, "ef")): c["ours"] for c in matrix_cells(systems[OURS], systems[REFERENCE], "off")}
    cells = matrix_cells(systems[OURS], systems[REFERENCE])
    below = sorted((c for c in cells if c["below"] > 0), key=lambda c: -c["below"])
    rows = [[c["class"], c["data"], c["way"], c["m"], c["ef_construction"], c["ef"], f"{c['below']:.4f}", f"{c['ours']:.4f}", f"{c['theirs']:.4f}",
             f"{off[tuple(c[name] for name in (*MATRIX_CELL, 'ef'))]:.4f}"] for c in below]
    out += table(["recall matrix: cells below", "data", "way", "m", "ef_construction", "ef", "below by", OURS, REFERENCE, f"{OURS}, iterative_scan off"], rows)
    summaries = [(name, value) for name in (*MATRIX_CELL, "ef") for value in dict.fromkeys(c[name] for c in cells)]
    rows = [summary(f"{name} {value}" if name in ("m", "ef_construction", "ef") else value, [c for c in cells if c[name] == value])
            for name, value in summaries]
    off_cells = matrix_cells(systems[OURS], systems[REFERENCE], "off")
    return out + ["", *table(["recall matrix", "cells", "below", *(f"by more than {x}" for x in BELOW), "at worst by", f"mean, {OURS}", f"mean, {REFERENCE}"],
                             [summary("all", cells), summary("all, iterative_scan off", off_cells), *rows])]


MATRIX_CELL = ("class", "data", "way", "m", "ef_construction")


def summary(name, cells):
    below = [c["below"] for c in cells if c["below"] > 0]
    mean = [f"{sum(c[whose] for c in cells) / len(cells):.4f}" if cells else "-" for whose in ("ours", "theirs")]
    return [name, len(cells), len(below), *(sum(x > least for x in below) for least in BELOW), f"{max(below):.4f}" if below else "", *mean]


RENDER = {"build": report_build, "search": report_search, "exact": report_exact, "insert": report_insert,
          "latency": report_latency, "filter": report_filter, "radius": report_radius, "pages": report_pages,
          "distance": report_distance, "cold": report_cold, "tenth": report_tenth, "growth": report_growth,
          "churn": report_churn, "wide": report_wide, "matrix": report_matrix}
