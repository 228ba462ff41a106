"""What a run says in a few lines of at most 80 characters, for those who do not read tables."""
from omenbench.figures import BELOW, frontier, matrix_cells, us_at
from omenbench.report import LEVELS, OURS, REFERENCE


def verdict(results):
    """The lines; none where omendb and pgvector were not measured side by side."""
    lines = []
    for name, stages in results["data"].items():
        about, found = stages["about"], []
        for stage, judge in JUDGES:
            systems = stages.get(stage, {})
            if OURS in systems and REFERENCE in systems:
                found += judge(systems[OURS], systems[REFERENCE])
        if found:
            made_up = ", synthetic" if about.get("synthetic") else ""
            lines += ["", f"{OURS} beside {REFERENCE}: {name}, {about['rows']:,} rows x {about['dims']}, {about['metric']}{made_up}"]
            lines += [f"  {what:<43} {figure}" for what, figure in found]
    if lines and results["failures"]:
        lines += ["", f"Failed: {len(results['failures'])} (see above)."]
    return lines


def times(more, less, ours, theirs, unit):
    return f"{show(more / less)} times ({show(ours)} {unit}, {show(theirs)} {unit})" if more and less else "-"


def show(number):
    return f"{number:.{0 if number >= 100 else 1 if number >= 2 else 2}f}"


def judge_build(ours, theirs):
    return [("index built faster", times(theirs["seconds"], ours["seconds"], ours["seconds"], theirs["seconds"], "s")),
            ("index larger" if ours["bytes"] >= theirs["bytes"] else "index smaller", sizes(ours["bytes"] / 1e6, theirs["bytes"] / 1e6))]


def sizes(ours, theirs):
    return times(max(ours, theirs), min(ours, theirs), ours, theirs, "MB")


def judge_search(ours, theirs):
    """At the highest level of recall that both reach."""
    curves = [frontier(x["points"]) for x in (ours, theirs)]
    for level in reversed(LEVELS):
        (us, other) = (us_at(curve, level) for curve in curves)
        # Where pgvector's fastest point is better than that, it says nothing of the level.
        if us and other and not other[1]:
            least = "at least " if us[1] else ""
            return [(f"a query within SQL faster, recall {level}", least + times(other[0], us[0], us[0], other[0], "us"))]
    return []


def judge_insert(ours, theirs):
    clients = max(r["clients"] for r in ours["runs"])
    rates = [next((r["tps"] for r in x["runs"] if r["clients"] == clients and r["synchronous_commit"] == "on"), None) for x in (ours, theirs)]
    return [(f"rows inserted faster, {clients} clients", times(*rates, *rates, "a s"))] if all(rates) else []


def judge_latency(ours, theirs):
    clients = max(r["clients"] for r in ours["runs"])
    rates = [next((r["qps"] for r in x["runs"] if r["clients"] == clients and r["ef"] == x["ef"]), None) for x in (ours, theirs)]
    return [(f"queries of {clients} clients, ef_search {ours['ef']}, faster", times(*rates, *rates, "a s"))] if all(rates) else []


def judge_filter(ours, theirs):
    def enough(system):
        cases = [c for c in system["cases"] if c["setting"] == "default"]
        return sum(not c["short"] for c in cases), len(cases)

    (ok, of), (other, other_of) = enough(ours), enough(theirs)
    return [("filters that leave enough rows", f"{ok} of {of}; {REFERENCE} {other} of {other_of}")] if of and other_of else []


def judge_matrix(ours, theirs):
    cells = matrix_cells(ours, theirs)
    below = [c["below"] for c in cells if c["below"] > BELOW[0]]
    worst = f", at worst by {max(below):.3f}" if below else ""
    return [(f"recall below by more than {BELOW[0]}", f"{len(below)} of {len(cells)}{worst}")] if cells else []


JUDGES = [("build", judge_build), ("search", judge_search), ("latency", judge_latency), ("insert", judge_insert), ("filter", judge_filter),
          ("matrix", judge_matrix)]
