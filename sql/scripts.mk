# The extensions' scripts, made of omendb.sql by script.awk; and the extension vector.

SCRIPT_SOURCES = $(srcdir)/sql/omendb.sql $(srcdir)/sql/script.awk
INCLUDED = $(srcdir)/sql/vector-steps.sql.in $(srcdir)/sql/vector-end.sql.in
SCRIPT = awk -f $(srcdir)/sql/script.awk

build/sql/omendb--%.sql: $(srcdir)/sql/extension.sql.in $(SCRIPT_SOURCES)
	@mkdir -p $(@D)
	$(SCRIPT) -v EXTENSION=omendb -v OTHER=vector -v VERSION=$* $(srcdir)/sql/omendb.sql $< >$@

# ---- make install-vector: in the place of pgvector

VECTOR_VERSION := $(call default_version,$(srcdir)/sql/vector.control)
# By which a database knows whose vector.control the server has.
VECTOR_COMMENT := $(shell sed -n "s/^comment = '\(.*\)'/\1/p" $(srcdir)/sql/vector.control)
# Versions of pgvector that have the same SQL objects.
VECTOR_ALIKE = 0.8.0 0.8.1 0.8.2 0.8.3 0.8.4 0.8.5 0.8.6 0.8.7

VECTOR_FILES = $(srcdir)/sql/vector.control build/sql/vector/vector--$(VECTOR_VERSION).sql \
	$(VECTOR_ALIKE:%=build/sql/vector/vector--%--omendb.sql) \
	build/sql/vector/vector--omendb--$(VECTOR_VERSION).sql

build/sql/vector/vector--$(VECTOR_VERSION).sql: $(srcdir)/sql/extension.sql.in $(SCRIPT_SOURCES)
	@mkdir -p $(@D)
	$(SCRIPT) -v EXTENSION=vector -v OTHER=omendb -v VERSION=$(VECTOR_VERSION) $(srcdir)/sql/omendb.sql $< >$@

build/sql/vector/vector--%--omendb.sql: $(srcdir)/sql/vector-adopt.sql.in $(INCLUDED) $(SCRIPT_SOURCES)
	@mkdir -p $(@D)
	$(SCRIPT) -v LIBRARY=omendb -v VERSION=$* $(srcdir)/sql/omendb.sql $< >$@

build/sql/vector/vector--omendb--$(VECTOR_VERSION).sql: $(srcdir)/sql/vector-rename.sql.in $(SCRIPT_SOURCES)
	@mkdir -p $(@D)
	$(SCRIPT) -v VERSION=$(VECTOR_VERSION) -v COMMENT="$(VECTOR_COMMENT)" $(srcdir)/sql/omendb.sql $< >$@

EXTENSION_DIR = $(DESTDIR)$(datadir)/extension
INSTALLED_CONTROL = $(EXTENSION_DIR)/vector.control

# Scripts for another version of pgvector than what is installed now would be on the ways of an
# ALTER EXTENSION vector UPDATE. No file of pgvector's has the line by which ours are known.
remove_scripts = grep -l 'Made by sql/script\.awk' '$(EXTENSION_DIR)'/vector--*.sql 2>/dev/null | while IFS= read -r script; do \
	rm -f "$$script"; done

install-vector: install install-vector-scripts

# Alone, for a package that comes beside omendb's.
install-vector-scripts: $(VECTOR_FILES)
	@if [ -e '$(INSTALLED_CONTROL)' ] && ! grep -q libdir/omendb '$(INSTALLED_CONTROL)'; then \
		echo "$(INSTALLED_CONTROL) is pgvector's: remove that package, or make install-adoption" >&2; exit 1; fi
	@$(remove_scripts)
	$(MKDIR_P) '$(EXTENSION_DIR)'
	$(INSTALL_DATA) $(VECTOR_FILES) '$(EXTENSION_DIR)/'

# ---- make install-adoption: beside pgvector, from its version to omendb's and back

PGVECTOR_VERSION = $(if $(wildcard $(INSTALLED_CONTROL)),$(call default_version,'$(INSTALLED_CONTROL)'),none)
ADOPTION_FILES = build/sql/adoption/vector--$(PGVECTOR_VERSION)--omendb.sql \
	build/sql/adoption/vector--omendb--$(PGVECTOR_VERSION).sql

# Before anything is installed.
check-adoption:
	@case ' $(VECTOR_ALIKE) ' in *' $(PGVECTOR_VERSION) '*) ;; *) \
		echo "install-adoption needs pgvector, one of: $(VECTOR_ALIKE); $(EXTENSION_DIR) has '$(PGVECTOR_VERSION)'" >&2; exit 1;; esac

install-adoption: check-adoption install
	@mkdir -p build/sql/adoption
	$(SCRIPT) -v LIBRARY=omendb -v VERSION=$(PGVECTOR_VERSION) $(srcdir)/sql/omendb.sql $(srcdir)/sql/vector-adopt.sql.in \
		>build/sql/adoption/vector--$(PGVECTOR_VERSION)--omendb.sql
	$(SCRIPT) -v LIBRARY=vector -v VERSION=$(PGVECTOR_VERSION) $(srcdir)/sql/omendb.sql $(srcdir)/sql/vector-return.sql.in \
		>build/sql/adoption/vector--omendb--$(PGVECTOR_VERSION).sql
	@$(remove_scripts)
	$(INSTALL_DATA) $(ADOPTION_FILES) '$(EXTENSION_DIR)/'

# ---- make uninstall-vector, make uninstall-adoption: what the two have installed; and make
# uninstall, for without the library the scripts are of no use

uninstall-adoption:
	$(remove_scripts)

uninstall-vector: uninstall-adoption
	if [ -e '$(INSTALLED_CONTROL)' ] && grep -q libdir/omendb '$(INSTALLED_CONTROL)'; then rm -f '$(INSTALLED_CONTROL)'; fi

uninstall: uninstall-vector

.PHONY: install-vector install-vector-scripts check-adoption install-adoption uninstall-vector uninstall-adoption
