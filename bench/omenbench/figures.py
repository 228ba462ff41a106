"""Arithmetic over what was measured: no server, no packages."""
import statistics

# Processors busy while one session works, from which on others must have worked as well.
CROWDED = 1.3
# What a choice may cost at most: so many times the best one, and so many microseconds more.
TIMES_THE_BEST, MORE_THAN_THE_BEST = 1.5, 100
# A strategy that finds less by more than that is no alternative.
RECALL_LESS = 0.01
# Of recall. Two graphs of the same rows by the same program differ, too: with m = 16 hardly, with m = 4 by up to .1.
BELOW = [0.01, 0.05]
PERCENTILES = {"p50_us": 50, "p95_us": 95, "p99_us": 99}


def medians(samples, *names):
    """What a point says of its samples, which stay beside it."""
    return {name: round(statistics.median(s[name] for s in samples), 1) for name in names or ("us", "cpu_us")}


def quiet_enough(samples):
    """Whether several samples can be believed: the fastest was measured while
    nobody else worked, and another comes near it."""
    first, second = sorted(samples, key=lambda s: s["us"])[:2] if len(samples) > 1 else samples * 2
    return first["busy"] <= CROWDED and second["us"] <= first["us"] * 1.05


def percentile(values, percent):
    """The smallest value that as many per cent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def percentiles(values):
    return {name: percentile(values, percent) for name, percent in PERCENTILES.items()}


def frontier(points, clock="us", recall="recall"):
    """(recall, microseconds) of the points that no faster one equals in recall."""
    curve = []
    for p in sorted(points, key=lambda p: p[clock]):
        if not curve or p[recall] > curve[-1][0]:
            curve.append((p[recall], p[clock]))
    return curve


def us_at(curve, level):
    """(microseconds, whether that is a bound only), or None if the level is not reached."""
    if not curve or curve[-1][0] < level:
        return None
    if curve[0][0] >= level:
        return curve[0][1], curve[0][0] > level
    for (r0, u0), (r1, u1) in zip(curve, curve[1:]):
        if r1 >= level:
            return u0 + (u1 - u0) * (level - r0) / (r1 - r0), False


def beside_best(cases, strategies, keys):
    """(case, its microseconds, the best forced strategy, its microseconds, whether the choice costs too much, "us" or "cpu_us") of
    each case of the setting "default" that was measured with strategies forced as well, all else (the keys) equal. The processor's
    time counts where others disturbed one of them."""
    for case in cases:
        forced = [c for c in cases if c["setting"] in strategies and all(c.get(k) == case.get(k) for k in keys)
                  and c["recall"] >= case["recall"] - RECALL_LESS]
        if case["setting"] == "default" and forced:
            us = "us" if all(quiet_enough(c["samples"]) for c in [case, *forced]) else "cpu_us"
            best = min(forced, key=lambda c: c[us])
            yield case, case[us], best["setting"], best[us], case[us] > TIMES_THE_BEST * best[us] + MORE_THAN_THE_BEST, us


GRAPH = ("class", "data", "m", "ef_construction")


def matrix_cells(ours, theirs, setting="default"):
    """Of each graph and ef that both systems have: what it is, the recalls, and how far ours is below. Where theirs
    has no batch, single rows count, which a batch is for them."""
    found = {(*(g[name] for name in GRAPH), g["way"]): g for g in theirs["graphs"]}
    cells = []
    for graph in ours["graphs"]:
        key = tuple(graph[name] for name in GRAPH)
        other = found.get((*key, graph["way"])) or graph["way"] == "batch" and found.get((*key, "single"))
        for ef, recall in graph["recall"][setting].items() if other else []:
            if ef in other["recall"]["default"]:
                their_recall = other["recall"]["default"][ef]
                cells.append({**{name: graph[name] for name in (*GRAPH, "way")}, "ef": int(ef), "ours": recall, "theirs": their_recall,
                              "below": round(their_recall - recall, 5)})
    return cells
