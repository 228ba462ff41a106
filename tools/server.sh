# shellcheck shell=bash
# A private PostgreSQL with this tree's extension in it, for scripts that
# in-private runs. To be sourced, after lib.sh.
#
# PostgreSQL finds its files relative to its executables. So a copy of the
# executables, with symbolic links to the other files where those are expected,
# is an installation of its own: `make install` writes into it, and nothing
# outside is touched.

# Makes the installation and points PATH and PG_CONFIG at it.
make_private_postgres() {
	local real=$OMENDB_PG_CONFIG private=$OMENDB_WORK/pg dir
	[[ -n $real ]] || die "no PostgreSQL server with its development files found (see tools/setup)"
	copy_postgres "$real" "$private"
	dir=$("$real" --bindir)
	export PG_CONFIG=$private$dir/pg_config PATH=$private$dir:$PATH
	[[ $("$PG_CONFIG" --pkglibdir) == "$private"/* ]] ||
		die "$real: this PostgreSQL is not relocatable"
}

# The directories are the same as the original's, below another root.
copy_postgres() { # PG_CONFIG ROOT
	local real=$1 private=$2 dir option
	dir=$("$real" --bindir)
	mkdir -p "$private$dir"
	# Links would be followed back to where they point; only copies relocate.
	cp -L "$dir"/* "$private$dir/"
	for option in --pkglibdir --sharedir --pkgincludedir --includedir-server; do
		dir=$("$real" "$option")
		# One may lie inside another that is already there.
		if [[ -e $private$dir ]]; then continue; fi
		mkdir -p "$private$dir"
		cp -rs "$dir/." "$private$dir/"
	done
	# Of an omendb in the system nothing may show, nor be written to through a link.
	find "$private" -name 'omendb*' -depth -exec rm -r {} +
}

# Builds the copy of the tree in the current directory; stops with the
# compiler's words if that fails.
build_extension() { # MAKE_ARGUMENT...
	local log=$OMENDB_WORK/log/build.log status=0
	say "building for $("$PG_CONFIG" --version | cut -d' ' -f1-2)"
	start_progress building built_files
	make_and_install "$log" "$@" || status=$?
	stop_progress
	if [[ $status -ne 0 ]]; then
		cat "$log" >&2
		die "the build failed"
	fi
}

make_and_install() { # LOG MAKE_ARGUMENT...
	local log=$1
	shift
	make -s -j "$(nproc)" PG_CONFIG="$PG_CONFIG" "$@" >"$log" 2>&1 &&
		make -s install PG_CONFIG="$PG_CONFIG" "$@" >>"$log" 2>&1
}

built_files() {
	echo "$(find src -name '*.o' | wc -l) of $(find src -name '*.c' | wc -l) files"
}

# Makes a throwaway cluster that listens on a socket in $OMENDB_WORK only.
make_cluster() { # DIRECTORY [setting...]
	local data=$1 setting
	shift
	initdb -D "$data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$OMENDB_WORK/log/initdb.log" 2>&1 ||
		die "initdb failed: $(tail -n 5 "$OMENDB_WORK/log/initdb.log")"
	{
		printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$OMENDB_WORK'" "fsync = off"
		for setting in "$@"; do printf '%s\n' "$setting"; done
	} >>"$data/postgresql.conf"
}

# Makes one, and starts it.
start_server() { # [setting...]
	local data=$OMENDB_WORK/data log=$OMENDB_WORK/log/server.log
	start_progress "starting a server"
	make_cluster "$data" "$@"
	export PGHOST=$OMENDB_WORK PGUSER=postgres PGDATABASE=postgres
	pg_ctl -D "$data" -l "$log" -w -s start || die "the server did not start: $(tail -n 5 "$log")"
	stop_progress
}

stop_server() {
	pg_ctl -D "$OMENDB_WORK/data" -m fast -w -s stop
}

# Sets perl_test to the command that runs Perl tests, whose files are to follow it, with clusters
# and logs in that directory. PostgreSQL::Test puts them where these variables say; which of them
# it reads depends on its version. The directory of ports is for all, who mark there which port is taken.
make_perl_command() { # DIRECTORY
	local dir=$1 pgxs_src
	pgxs_src=$(dirname "$("$PG_CONFIG" --pgxs)")/..
	mkdir -p "$dir"
	# shellcheck disable=SC2034 # who sources this reads it
	perl_test=(env -u PGHOST -u PGUSER -u PGDATABASE
		TESTDIR="$dir" TESTDATADIR="$dir/tmp_check" TESTLOGDIR="$dir/tmp_check/log"
		top_builddir="$dir" PG_TEST_PORT_DIR="$OMENDB_WORK/ports" PGPORT=65432 PG_REGRESS="$pgxs_src/test/regress/pg_regress"
		prove "${at_once[@]}" --verbose -I "$pgxs_src/test/perl" -I test/t/lib)
}
# Without these prove keeps the lines of a file until its end, if nobody looks on.
at_once=(--formatter TAP::Formatter::Console --nocolor)
