"""What a LIMIT costs and what its rows are, by pages and at once; what it costs to show the distance."""
import numpy as np

from omenbench.data import K, K_MANY
from omenbench.figures import medians
from omenbench.filters import SETTINGS, switch
from omenbench.host import say

PAGES = 20


def pages(bench):
    """Pages of ten rows beside one list of as many: the rows that pages show twice, and those that they leave out. And what
    a hundred rows cost, and are worth. Always by the index."""
    data, args = bench.data, bench.args
    count = min(args.page_queries, len(data.query))
    one = {page: bench.nearest(queries=count, offset=page * K) for page in range(PAGES)}
    whole, many = (bench.nearest(queries=count, k=k) for k in (PAGES * K, K_MANY))
    variants = {}
    with bench.sessions("pages") as sessions:
        for system in bench.working("pages"):
            for name, settings in settings_of(system).items():
                with bench.attempt("pages", system):
                    db, settings = sessions[system], {**settings, "hnsw.ef_search": args.latency_ef, "enable_seqscan": "off"}
                    switch(db, settings)
                    shown = [sum(of_query, []) for of_query in zip(*(bench.found(db, one[page]) for page in range(PAGES)))]
                    recall = data.recall(bench.found(db, many), data.truth[:count], K_MANY)
                    variants[system, name] = settings, {
                        "setting": name, **compare_pages(shown, bench.found(db, whole)), "recall100": recall["recall"],
                        "incomplete100": recall["incomplete"], "index_used": bench.uses_index(db, many),
                        "samples10": [], "samples100": [], "samples_last": []}
        for _ in range(args.repetitions):
            for (system, name), (settings, figures) in variants.items():
                with bench.attempt("pages", system):
                    switch(sessions[system], settings)
                    for search, samples in [(one[0], "samples10"), (many, "samples100"), (one[PAGES - 1], "samples_last")]:
                        figures[samples].append(bench.sample(sessions[system], search))
    for system in bench.working("pages"):
        cases = [figures for (of, _), (_, figures) in variants.items() if of == system]
        for figures in cases:
            for name in ("10", "100", "_last"):
                figures[f"us{name}"] = medians(figures[f"samples{name}"])["us"]
            say(f"{data.key}: pages, {system} {figures['setting']}: {figures['twice']} rows twice, {figures['missing']} missing;"
                f" {figures['us10']:.0f} us for {K}, {figures['us100']:.0f} for {K_MANY}, recall {figures['recall100']:.4f}")
        bench.record("pages", system, {"queries": count, "pages": PAGES, "ef": args.latency_ef, "cases": cases})


def settings_of(system):
    """Strategies are for filters, of which there are none here."""
    return {"default": {}} if system == "omendb" else SETTINGS[system]


def compare_pages(shown, whole):
    """Of all queries: rows that their pages show twice, and rows of the whole list that they do not show."""
    return {"twice": sum(len(ids) - len(set(ids)) for ids in shown),
            "missing": sum(len(set(all_of_it) - set(ids)) for ids, all_of_it in zip(shown, whole)),
            "rows": round(float(np.mean([len(ids) for ids in shown])), 2)}


def distance(bench):
    """A query that shows the distance of its rows beside one that only orders by it."""
    searches = {"hidden": bench.nearest(), "shown": bench.nearest(shown=True)}
    samples = {system: {name: [] for name in searches} for system in bench.working("distance")}
    with bench.sessions("distance") as sessions:
        for system in bench.working("distance"):
            with bench.attempt("distance", system):
                db = sessions[system]
                db.run(f"SET hnsw.ef_search = {bench.args.latency_ef}")
                bench.check_plan(db, system, searches["shown"])
                bench.sample(db, searches["shown"])
        for _ in range(bench.args.repetitions):
            for name, search in searches.items():
                for system in bench.working("distance"):
                    with bench.attempt("distance", system):
                        samples[system][name].append(bench.sample(sessions[system], search))
    for system in bench.working("distance"):
        us = {f"us_{name}": medians(of_one)["us"] for name, of_one in samples[system].items()}
        say(f"{bench.data.key}: {system}: {us['us_hidden']:.0f} us, {us['us_shown']:.0f} with the distance")
        bench.record("distance", system, {"ef": bench.args.latency_ef, **us, "samples": samples[system]})
