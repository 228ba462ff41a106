"""The benchmark of the hnsw index; bench/index is its command. Here are the names
that its options and its results share.

  command    options, the order of a run        host       this machine, packages
  bench      a run and its results              server     a PostgreSQL for it
  data       data sets, what is exactly true    database   sessions, COPY
  formats    files of vectors                   figures    percentiles, frontiers
  search, libraries, clients, filters, radius, pages, growth, matrix   the stages
  madeup     the matrix's data
  report     the tables                         verdict    the last lines
"""
EXTENSIONS = {"omendb": "omendb", "pgvector": "vector"}
LIBRARIES = ["hnswlib", "faiss"]
SYSTEMS = [*EXTENSIONS, *LIBRARIES]
# In this order. Those of the second line take minutes to hours.
STAGES = ["load", "build", "hnswlib", "faiss", "search", "exact", "insert", "latency", "filter", "radius", "pages", "distance", "cold", "tenth"]
LONG_STAGES = ["growth", "churn", "wide", "matrix"]
# Those that make their own data, and happen once, whatever --data says.
OWN_DATA = ["matrix"]
# Of filters. The last but one only where the data have groups.
KINDS = ["independent", "correlated", "anticorrelated", "metadata", "tenant"]
# Of omendb's filtered scans, which chooses among them unless one is forced.
STRATEGIES = ["graph", "bitmap", "exact"]
# Of the matrix: operator class -> (type, metric, kinds of data).
VECTOR_DATA = ["clusters", "far", "twins", "lengths", "hubs"]
BIT_DATA = ["bits", "clusters", "far", "twins"]
MATRIX_CLASSES = {
    "vector_l2_ops": ("vector", "l2", VECTOR_DATA),
    "vector_ip_ops": ("vector", "ip", VECTOR_DATA),
    "vector_cosine_ops": ("vector", "cosine", VECTOR_DATA),
    "vector_l1_ops": ("vector", "l1", VECTOR_DATA[:3]),
    "halfvec_l2_ops": ("halfvec", "l2", VECTOR_DATA[:3]),
    "sparsevec_l2_ops": ("sparsevec", "l2", VECTOR_DATA[:1]),
    "bit_hamming_ops": ("bit", "hamming", BIT_DATA),
    "bit_jaccard_ops": ("bit", "jaccard", BIT_DATA[:2]),
}
MATRIX_DATA = [*VECTOR_DATA, "bits"]
# How an index comes to its rows. A churn goes on with what was built, so it comes next.
MATRIX_WAYS = ["build", "churn", "single", "sorted", "batch"]
