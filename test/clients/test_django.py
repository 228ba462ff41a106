#!/usr/bin/python3
"""Django: a migration that creates the extension and indexes, fields and
expressions in the ORM."""
import os

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.postgres"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"],
                           "HOST": os.environ["PGHOST"], "USER": os.environ["PGUSER"]}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True)
django.setup()

from django.contrib.postgres.indexes import OpClass, PostgresIndex  # noqa: E402
from django.contrib.postgres.operations import CreateExtension  # noqa: E402
from django.db import connection, migrations, models, utils  # noqa: E402
from django.db.migrations.state import ProjectState  # noqa: E402
from django.db.models import Avg, Func, Value  # noqa: E402

import support  # noqa: E402
from support import QUERY, VECTORS, VECTOR_OPERATORS, check, check_near  # noqa: E402


class VectorField(models.Field):
    type_name = "vector"

    def __init__(self, *args, dimensions=None, **kwargs):
        self.dimensions = dimensions
        super().__init__(*args, **kwargs)

    def deconstruct(self):
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "dimensions": self.dimensions}

    def db_type(self, connection):
        return self.type_name + (f"({self.dimensions})" if self.dimensions else "")

    def from_db_value(self, value, expression, connection):
        return value and support.from_text(value)

    def get_prep_value(self, value):
        return value and support.to_text(value)


class HalfField(VectorField):
    type_name = "halfvec"


class HnswIndex(PostgresIndex):
    suffix = "hnsw"

    def get_with_params(self):
        return ["m = 8", "ef_construction = 32"]


class IvfflatIndex(PostgresIndex):
    suffix = "ivfflat"

    def get_with_params(self):
        return ["lists = 1"]


class Distance(Func):
    function = ""
    output_field = models.FloatField()

    def __init__(self, operator, column, query):
        super().__init__(column, Value(query, output_field=VectorField()))
        self.arg_joiner, self.template = f" {operator} ", "(%(expressions)s)"


class Migration(migrations.Migration):
    operations = [
        CreateExtension("vector"),
        migrations.CreateModel("Item", [
            ("id", models.IntegerField(primary_key=True)),
            ("embedding", VectorField(dimensions=3, null=True)),
            ("half", HalfField(dimensions=3, null=True))]),
        *(migrations.AddIndex("Item", HnswIndex(fields=["embedding"], name=f"items_{number}", opclasses=[opclass]))
          for number, opclass in enumerate(VECTOR_OPERATORS.values())),
        migrations.AddIndex("Item", IvfflatIndex(fields=["half"], name="items_half", opclasses=["halfvec_l2_ops"])),
        migrations.AddIndex("Item", HnswIndex(
            OpClass(models.functions.Cast("embedding", HalfField(dimensions=3)), "halfvec_cosine_ops"),
            name="items_cast")),
    ]


def test():
    with connection.schema_editor() as editor:
        state = Migration("0001", "shop").apply(ProjectState(), editor)
    items = state.apps.get_model("shop", "Item").objects

    items.bulk_create(items.model(id=i, embedding=v, half=v) for i, v in VECTORS.items())
    check("objects come back, NULL too", list(items.order_by("id").values_list()), [(i, v, v) for i, v in VECTORS.items()])
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
    for number, operator in enumerate(VECTOR_OPERATORS):
        near = items.order_by(Distance(operator, "embedding", QUERY))
        check(f"order by {operator}", list(near.values_list("id", flat=True)[:4]), support.nearest(operator))
        plan = [(near[:4].explain(),)]
        support.check_uses(f"order by {operator} uses its index", plan, f"items_{number}")
        got = items.annotate(distance=Distance(operator, "embedding", QUERY)).get(id=2).distance
        check_near(f"distance by {operator}", got, support.distance(operator, 2))
    near = items.alias(distance=Distance("<->", "embedding", QUERY)).filter(distance__lt=1)
    check("a filter by distance", list(near.values_list("id", flat=True)), [1])
    got = items.filter(id__in=[1, 2]).aggregate(mean=Avg("embedding", output_field=VectorField()))
    check("an aggregate", got["mean"], (2.5, 3.5, 4.75))

    item = items.get(id=5)
    item.embedding = QUERY
    item.save()
    near = items.order_by(Distance("<->", "embedding", QUERY))
    check("an object's change reaches the index", near.first().id, 5)

    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, "shop_item")
    check("introspection finds the access method", constraints["items_0"]["type"], "hnsw")

    try:
        items.create(id=9, embedding=(1, 2))
        error = None
    except utils.DataError as e:
        error = e.__cause__.pgcode, e.__cause__.diag.message_primary
    check("an error of the library's class", error, ("22000", "expected 3 dimensions, not 2"))


support.run(test, f"Django {django.__version__} on psycopg2")
