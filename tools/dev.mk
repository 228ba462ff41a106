# Goals for people who work on omendb, or only want to see it run. They install
# the Debian packages that are missing, work in a temporary directory, and leave
# no server behind. Included by the Makefile for these goals alone.

# CI and the scripts read these from the environment.
export TESTS FILES PG_CONFIG PGVERSION

.PHONY: $(DEV_GOALS)

help:
	@echo 'make demo          see it work: real data, a throwaway server, one minute'
	@echo 'make check         all tests; TESTS="regress tap" runs a part of:'
	@echo '                   lint regress isolation tap perl unit bench;'
	@echo '                   FILES="hnsw_filter 02*" of their files'
	@echo 'make soak          the long forms of tests, a minute each, or'
	@echo '                   OMENDB_SOAK_SECONDS'
	@echo 'make unit          the C unit tests alone, no server needed'
	@echo 'make bench         measure the index beside pgvector, hnswlib and FAISS:'
	@echo '                   80 minutes, as root; BENCH="FILE... --option..." adds'
	@echo '                   data and arguments of bench/index'
	@echo 'make bench-quick   the same in ten minutes, with fewer rows and stages'
	@echo 'make bench-kernels measure the kernels; BENCH="..." are arguments of bench/run'
	@echo 'make lint          layer rules, links, shellcheck, perl -c, pyflakes'
	@echo 'make format        lay the C sources out; format-check only looks'
	@echo 'make docs          build/docs/index.html, a book of all documents'
	@echo 'make dist          build/omendb-VERSION.zip, the archive for PGXN, of the'
	@echo '                   last commit'
	@echo 'make setup         install what the goals above need'
	@echo 'make, make install, make installcheck   for your own server, the usual way'
	@echo 'PGVERSION=17 or PG_CONFIG=/path/to/pg_config chooses the PostgreSQL'

demo:
	@tools/demo

check:
	@tools/check

soak:
	@tools/soak

unit:
	@TESTS=unit tools/check

lint:
	@TESTS=lint tools/check

bench:
	@tools/bench index --data fashion-mnist --stages all --builds 3 $(BENCH)

bench-quick:
	@tools/bench index --data fashion-mnist --quick $(BENCH)

bench-kernels:
	@tools/bench run $(BENCH)

format:
	@tools/format

format-check:
	@tools/format --check

docs:
	@tools/docs

dist:
	@tools/dist

setup:
	@tools/setup check
