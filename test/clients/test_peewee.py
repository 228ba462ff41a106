#!/usr/bin/python3
"""Peewee: a field of its own, indexes by its builder, expressions."""
import os

import peewee
from peewee import SQL, Expression, IntegerField, Model, PostgresqlDatabase, Value, fn

import support
from support import QUERY, VECTORS, VECTOR_OPERATORS, check, check_near

db = PostgresqlDatabase(os.environ["PGDATABASE"])


class VectorField(peewee.Field):
    field_type = "vector"

    def __init__(self, dimensions, **kwargs):
        self.dimensions = dimensions
        super().__init__(**kwargs)

    def get_modifiers(self):
        return [self.dimensions]

    def db_value(self, value):
        return value and support.to_text(value)

    def python_value(self, value):
        return value and support.from_text(value)

    def distance(self, operator, vector):
        return Expression(self, operator, Value(vector, converter=self.db_value, unpack=False))


class HalfField(VectorField):
    field_type = "halfvec"


class Item(Model):
    id = IntegerField(primary_key=True)
    embedding = VectorField(3, null=True)
    half = HalfField(3, null=True)

    class Meta:
        database = db
        table_name = "items"


for number, opclass in enumerate(VECTOR_OPERATORS.values()):
    Item.add_index(SQL(f"CREATE INDEX items_{number} ON items USING hnsw (embedding {opclass})"))
Item.add_index(Item.index(SQL("half halfvec_l2_ops"), using="ivfflat", name="items_half"))


def test():
    db.connect()
    db.execute_sql("CREATE EXTENSION IF NOT EXISTS vector")
    db.create_tables([Item])

    Item.insert_many([{"id": i, "embedding": v, "half": v} for i, v in VECTORS.items()]).execute()
    check("objects come back, NULL too", list(Item.select().order_by(Item.id).tuples()),
          [(i, v, v) for i, v in VECTORS.items()])
    db.execute_sql("SET enable_seqscan = off")
    for number, operator in enumerate(VECTOR_OPERATORS):
        near = Item.select(Item.id).order_by(Item.embedding.distance(operator, QUERY)).limit(4)
        check(f"order by {operator}", [item.id for item in near], support.nearest(operator))
        sql, parameters = near.sql()
        support.check_uses(f"order by {operator} uses its index", db.execute_sql("EXPLAIN " + sql, parameters).fetchall(),
                           f"items_{number}")
        got = Item.select(Item.embedding.distance(operator, QUERY).alias("d")).where(Item.id == 2).tuples()[0][0]
        check_near(f"distance by {operator}", got, support.distance(operator, 2))
    near = Item.select().where(Item.embedding.distance("<->", QUERY) < 1)
    check("a filter by distance", [item.id for item in near], [1])
    got = Item.select(fn.AVG(Item.embedding)).where(Item.id << [1, 2]).scalar()
    check("an aggregate", got, (2.5, 3.5, 4.75))

    item = Item.get_by_id(5)
    item.embedding = QUERY
    item.save()
    check("an object's change reaches the index",
          Item.select().order_by(Item.embedding.distance("<->", QUERY)).get().id, 5)

    try:
        Item.create(id=9, embedding=(1, 2))
        error = None
    except peewee.DataError as e:
        error = e.orig.pgcode, e.orig.diag.message_primary
    check("an error of the library's class", error, ("22000", "expected 3 dimensions, not 2"))


support.run(test, f"Peewee {peewee.__version__} on psycopg2")
