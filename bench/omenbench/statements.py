"""The SQL that is timed, and how it is run: for every query in one statement, or one statement a query."""
from omenbench.data import K, OPERATORS


class Nearest:
    """The statements that search for every query, or for the first of them only. shown:
    they return distances, too."""

    def __init__(self, metric, queries, table="items", k=K, where="true", query_table="q", offset=0, shown=False):
        self.queries, self.index = queries, f"{table}_hnsw"
        distance = f"{table}.embedding {OPERATORS[metric]} q.embedding"
        rest = f"FROM {table} WHERE {where} ORDER BY {distance} LIMIT {k}" + (f" OFFSET {offset}" if offset else "")
        columns, total = (f"id, {distance} AS distance", "sum(r.distance)") if shown else ("id", "count(*)")
        # What is timed: every query, and as little else as possible.
        self.counting = f"SELECT {total} FROM {query_table} q, LATERAL (SELECT {columns} {rest}) r WHERE q.id < {queries}"
        # The ids for each query, in the order in which the scan returns them.
        self.collecting = f"SELECT ARRAY(SELECT id {rest}) FROM {query_table} q WHERE q.id < {queries} ORDER BY q.id"

    def found(self, db):
        return [ids for ids, in db.rows(self.collecting)]

    def seconds(self, db):
        return db.seconds(self.counting)

    def plans(self, db):
        return [db.value("EXPLAIN (FORMAT json) " + statement) for statement in (self.counting, self.collecting)]


class Prepared:
    """A search prepared once, by a plan that knows no value, and executed with each of these values."""

    def __init__(self, statement, values, index="items_hnsw"):
        self.statement, self.index, self.queries = statement, index, len(values)
        self.executions = [f"EXECUTE nearest({', '.join(map(str, of_one))})" for of_one in values]

    def prepare(self, db):
        types = ", ".join(["int"] * (self.executions[0].count(",") + 1))
        db.run("DEALLOCATE ALL", "SET plan_cache_mode = 'force_generic_plan'", f"PREPARE nearest({types}) AS {self.statement}")

    def found(self, db):
        self.prepare(db)
        return [[number for number, in db.rows(execution)] for execution in self.executions]

    def seconds(self, db):
        self.prepare(db)
        return sum(db.seconds(execution) for execution in self.executions)

    def plans(self, db):
        self.prepare(db)
        return [db.value("EXPLAIN (FORMAT json) " + self.executions[0])]


class Within(Nearest):
    """The rows within a radius of each of the first queries, that of table radii; in order, or as they come."""

    def __init__(self, metric, queries, ordered, rows):
        self.queries, self.index = queries, "items_hnsw"
        distance = f"items.embedding {OPERATORS[metric]} q.embedding"
        # As it stands: a join of the two would be another plan.
        rest = f"FROM items WHERE {distance} < radii.r" + (f" ORDER BY {distance} LIMIT {rows}" if ordered else " OFFSET 0")
        self.counting = f"SELECT count(*) FROM q JOIN radii USING (id), LATERAL (SELECT id {rest}) r"
        self.collecting = f"SELECT ARRAY(SELECT id {rest}) FROM q JOIN radii USING (id) ORDER BY q.id"
