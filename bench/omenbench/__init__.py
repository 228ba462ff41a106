"""The benchmark of the hnsw index; bench/index is its command. Here are the names
that its options and its results share.

  command    options, the order of a run        host       this machine, packages
  bench      a run and its results              server     a PostgreSQL for it
  data       data sets, what is exactly true    database   sessions, COPY
  formats    files of vectors                   figures    percentiles, frontiers
  search, libraries, clients, filters, radius, pages, growth   the stages
  report     the tables                         verdict    the last lines
"""
EXTENSIONS = {"omendb": "omendb", "pgvector": "vector"}
LIBRARIES = ["hnswlib", "faiss"]
SYSTEMS = [*EXTENSIONS, *LIBRARIES]
# In this order. Those of the second line take minutes to hours.
STAGES = ["load", "build", "hnswlib", "faiss", "search", "exact", "insert", "latency", "filter", "radius", "pages", "distance", "cold", "tenth"]
LONG_STAGES = ["growth", "churn", "wide"]
# Of filters. The last but one only where the data have groups.
KINDS = ["independent", "correlated", "anticorrelated", "metadata", "tenant"]
# Of omendb's filtered scans, which chooses among them unless one is forced.
STRATEGIES = ["graph", "bitmap", "exact"]
