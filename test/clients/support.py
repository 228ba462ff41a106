"""What the tests of Python's client libraries share: TAP lines, rows whose order
by each operator is known, and the text and binary formats of the types."""
import math
import os
import struct
import sys
import traceback

# By id. Half precision holds all elements exactly, and no two rows have the same
# distance from QUERY by any operator.
VECTORS = {1: (1.0, 2.0, 3.0), 2: (4.0, 5.0, 6.5), 3: (-2.0, 0.5, 3.0), 4: (0.25, 7.0, -1.0), 5: None}
QUERY = (1.0, 2.0, 2.5)
BITS = {1: "11100", 2: "10001", 3: "10010", 4: "11010", 5: None}
BIT_QUERY = "11101"

VECTOR_OPERATORS = {"<->": "vector_l2_ops", "<#>": "vector_ip_ops", "<=>": "vector_cosine_ops",
                    "<+>": "vector_l1_ops"}
BIT_OPERATORS = {"<~>": "bit_hamming_ops", "<%>": "bit_jaccard_ops"}


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def _ones(bits):
    return bits.count("1")


def _both(a, b):
    return sum(x == y == "1" for x, y in zip(a, b))


DISTANCES = {
    "<->": math.dist,
    "<#>": lambda a, b: -_dot(a, b),
    "<=>": lambda a, b: 1 - _dot(a, b) / math.sqrt(_dot(a, a) * _dot(b, b)),
    "<+>": lambda a, b: sum(abs(x - y) for x, y in zip(a, b)),
    "<~>": lambda a, b: sum(x != y for x, y in zip(a, b)),
    "<%>": lambda a, b: 1 - _both(a, b) / (_ones(a) + _ones(b) - _both(a, b)),
}


def nearest(operator):
    """The ids of all rows that are not NULL, nearest to the query first."""
    rows, query = (BITS, BIT_QUERY) if operator in BIT_OPERATORS else (VECTORS, QUERY)
    distances = {i: DISTANCES[operator](row, query) for i, row in rows.items() if row is not None}
    assert len(set(distances.values())) == len(distances), operator
    return sorted(distances, key=distances.get)


def distance(operator, row):
    return DISTANCES[operator](VECTORS[row], QUERY)


# vector and halfvec have one text form.
def to_text(vector):
    return "[" + ",".join(repr(float(x)) for x in vector) + "]"


def from_text(text):
    return tuple(float(x) for x in text.strip("[]").split(","))


# int16 dimensions, int16 zero, elements: float4 in vector, float2 in halfvec.
def to_binary(vector, element="f"):
    return struct.pack(f">hh{len(vector)}{element}", len(vector), 0, *vector)


def from_binary(data, element="f"):
    dimensions, zero = struct.unpack_from(">hh", data)
    assert zero == 0
    return struct.unpack_from(f">{dimensions}{element}", data, 4)


# int32 dimensions, int32 elements that are not zero, int32 zero, their indices
# from 0 on, their values as float4. In Python: (dimensions, {index: value}).
def sparse_to_binary(sparse):
    dimensions, elements = sparse
    n = len(elements)
    return struct.pack(f">iii{n}i{n}f", dimensions, n, 0, *elements.keys(), *elements.values())


def sparse_from_binary(data):
    dimensions, n, zero = struct.unpack_from(">iii", data)
    assert zero == 0
    values = struct.unpack_from(f">{n}i{n}f", data, 12)
    return dimensions, dict(zip(values[:n], values[n:]))


_count = 0
_failures = 0


def check(name, got, wanted):
    global _count, _failures
    _count += 1
    if got == wanted:
        print(f"ok {_count} - {name}", flush=True)
    else:
        _failures += 1
        print(f"not ok {_count} - {name}\n#    got: {got!r}\n# wanted: {wanted!r}", flush=True)


def check_near(name, got, wanted):
    """Where the library computes in float4 or rounds, and Python does not."""
    check(name, got if not math.isclose(got, wanted, rel_tol=1e-6) else wanted, wanted)


def check_uses(name, plan, index):
    """Takes a plan as rows of one text, and looks for the index there."""
    plan = "\n".join(row[0] for row in plan)
    check(name, index if index in plan else plan, index)


def run(test, library):
    """Runs a test, whose libraries' versions come first. An exception is a failed test."""
    print(f"# {library}, Python {sys.version.split()[0]}, database {os.environ['PGDATABASE']}")
    try:
        test()
    except Exception:
        check("no exception", traceback.format_exc(), None)
    print(f"1..{_count}")
    sys.exit(_failures != 0)
