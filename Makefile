# omendb: PGXS build, and the goals that set up everything themselves.
#
#   make, make install, make installcheck    the PGXS way, for your own server
#                                            (PG_CONFIG=/path/to/pg_config)
#   make install-vector                      and pgvector's extension name, vector, too
#   make install-adoption                    beside pgvector: what makes its databases
#                                            omendb's
#   make uninstall, uninstall-vector,
#        uninstall-adoption                  the other way; make uninstall does all three
#                                            Each from another directory, too:
#                                            make -f /path/to/omendb/Makefile
#   make demo, make check, make bench, ...   see tools/dev.mk; these need no
#                                            PostgreSQL beforehand

DEV_GOALS := demo check soak bench bench-quick bench-kernels unit format format-check lint docs setup dist help

ifneq ($(filter $(DEV_GOALS),$(MAKECMDGOALS)),)
include tools/dev.mk
else

default_version = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(1))

EXTENSION = omendb
MODULE_big = omendb
DATA_built = build/sql/omendb--$(call default_version,$(srcdir)/omendb.control).sql

OBJS = $(patsubst $(srcdir)/%.c,%.o,$(sort $(wildcard $(srcdir)/src/*.c $(srcdir)/src/*/*.c)))

PG_CPPFLAGS = -I$(srcdir)/src
# clang does not know gnu_printf, which the headers of a server built with gcc use.
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-ignored-attributes
# Element by element loops (arithmetic, checks, byte order) in registers of the
# baseline; gcc 12 does it at -O2 for hardly any loop. The kernels use intrinsics.
PG_CFLAGS += -ftree-vectorize

REGRESS = $(patsubst $(srcdir)/test/sql/%.sql,%,$(sort $(wildcard $(srcdir)/test/sql/*.sql)))
REGRESS_OPTS = --inputdir=$(srcdir)/test --load-extension=omendb
ISOLATION = $(patsubst $(srcdir)/test/specs/%.spec,%,$(sort $(wildcard $(srcdir)/test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test --load-extension=omendb

EXTRA_CLEAN = results output_iso build/sql

# No LLVM bitcode: its one use is to inline functions into JIT code, and ours
# call kernels through pointers in a table that the library does not export.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error $(PG_CONFIG) is no pg_config of a PostgreSQL with its development files; see Install in README.md, and use PG_CONFIG=/path/to/pg_config)
endif
include $(PGXS)

SHLIB_LINK += -lm

# Only what the server looks up by name is exported: another vector extension
# may be loaded into the same backend. ld64 and others have no version scripts.
ifneq ($(filter linux freebsd netbsd openbsd,$(PORTNAME)),)
SHLIB_LINK += -Wl,--version-script=$(srcdir)/src/omendb.map
endif

include $(srcdir)/sql/scripts.mk

# Every object depends on every header: a build takes seconds, a stale object
# after a changed struct costs an afternoon.
$(OBJS): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)

# Elsewhere the objects' directories are to be made. Their names are absolute, for
# make would take the source's directories for relative ones.
ifneq ($(realpath $(srcdir)),$(realpath .))
OBJECT_DIRS = $(addprefix $(CURDIR)/,$(sort $(dir $(OBJS))))
$(OBJS): | $(OBJECT_DIRS)
$(OBJECT_DIRS):
	@mkdir -p $@
endif

endif
