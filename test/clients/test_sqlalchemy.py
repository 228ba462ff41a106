#!/usr/bin/python3
"""SQLAlchemy: a type with comparators, indexes with pgvector's options, the ORM, reflection."""
import sqlalchemy
from sqlalchemy import Column, Float, Index, Integer, create_engine, func, insert, inspect, select, text
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy.types import UserDefinedType

import support
from support import BITS, BIT_OPERATORS, BIT_QUERY, QUERY, VECTORS, VECTOR_OPERATORS, check, check_near


class Vector(UserDefinedType):
    cache_ok = True
    name = "vector"

    def __init__(self, dimensions=None):
        self.dimensions = dimensions

    def get_col_spec(self, **_):
        return self.name + (f"({self.dimensions})" if self.dimensions else "")

    def bind_processor(self, _):
        return lambda vector: vector and support.to_text(vector)

    def literal_processor(self, _):
        return lambda vector: "'" + support.to_text(vector) + "'"

    def result_processor(self, *_):
        return lambda text: text and support.from_text(text)


class Half(Vector):
    cache_ok = True
    name = "halfvec"


# Reflection finds types by their names here.
ischema_names["vector"] = Vector
ischema_names["halfvec"] = Half

Base = declarative_base()


class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    embedding = Column(Vector(3))
    half = Column(Half(3))
    bits = Column(BIT(5))


for number, opclass in enumerate(VECTOR_OPERATORS.values()):
    Index(f"items_embedding_{number}", Item.embedding, postgresql_using="hnsw",
          postgresql_with={"m": 8, "ef_construction": 32}, postgresql_ops={"embedding": opclass})
for number, opclass in enumerate(BIT_OPERATORS.values()):
    Index(f"items_bits_{number}", Item.bits, postgresql_using="hnsw", postgresql_ops={"bits": opclass})
Index("items_half", Item.half, postgresql_using="ivfflat", postgresql_with={"lists": 1},
      postgresql_ops={"half": "halfvec_l2_ops"})


def test():
    engine = create_engine("postgresql+psycopg2://")
    with engine.begin() as db:
        db.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    Base.metadata.create_all(engine)

    with Session(engine) as session:
        session.add_all(Item(id=i, embedding=v, half=v, bits=BITS[i]) for i, v in VECTORS.items())
        session.commit()
        got = [(item.id, item.embedding, item.half) for item in session.scalars(select(Item).order_by(Item.id))]
        check("objects come back, NULL too", got, [(i, v, v) for i, v in VECTORS.items()])
        session.execute(text("SET enable_seqscan = off"))
        for number, operator in enumerate(VECTOR_OPERATORS):
            distance = Item.embedding.op(operator, return_type=Float)(QUERY)
            statement = select(Item.id).order_by(distance).limit(4)
            check(f"order by {operator}", session.scalars(statement).all(), support.nearest(operator))
            sql = statement.compile(engine, compile_kwargs={"literal_binds": True})
            plan = session.execute(text(f"EXPLAIN {sql}")).all()
            support.check_uses(f"order by {operator} uses its index", plan, f"items_embedding_{number}")
            got = session.scalar(select(distance).where(Item.id == 2))
            check_near(f"distance by {operator}", got, support.distance(operator, 2))
        for operator in BIT_OPERATORS:
            statement = select(Item.id).order_by(Item.bits.op(operator)(BIT_QUERY)).limit(4)
            check(f"order by {operator}", session.scalars(statement).all(), support.nearest(operator))

        item = session.get(Item, 1)
        item.embedding = (9.0, 9.0, 9.0)
        session.commit()
        near = select(Item.id).where(Item.embedding.op("<->", return_type=Float)((9.0, 9.0, 9.0)) < 1)
        check("an object's change reaches the index", session.scalars(near).all(), [1])
        item.embedding = VECTORS[1]
        session.commit()
        got = session.scalar(select(func.avg(Item.embedding, type_=Vector)).where(Item.id.in_([1, 2])))
        check("an aggregate", got, (2.5, 3.5, 4.75))

        session.execute(insert(Item), [{"id": 10 + i, "embedding": (i, i + 1, i + 2)} for i in range(100)])
        session.commit()
        check("many rows at once", session.scalar(select(func.count(Item.embedding))), 104)

    columns = {column["name"]: column["type"] for column in inspect(engine).get_columns("items")}
    check("reflection finds the types", (type(columns["embedding"]), columns["half"].get_col_spec()),
          (Vector, "halfvec(3)"))
    methods = {index["name"]: index["dialect_options"].get("postgresql_using")
               for index in inspect(engine).get_indexes("items")}
    check("reflection finds the access method", methods["items_embedding_0"], "hnsw")

    with Session(engine) as session:
        try:
            session.execute(insert(Item), [{"id": 9, "embedding": (1, 2)}])
            error = None
        except sqlalchemy.exc.DataError as e:
            error = e.orig.pgcode, e.orig.diag.message_primary
    check("an error of the library's class", error, ("22000", "expected 3 dimensions, not 2"))


support.run(test, f"SQLAlchemy {sqlalchemy.__version__} on psycopg2")
