# shellcheck shell=bash
# What every script in tools/ and demo/ shares: messages, and finding the
# PostgreSQL to work with. To be sourced; it changes nothing by itself.

# The names of GNU tools' messages and the order of globs must not depend on
# who calls.
export LC_ALL=C

say() { printf '%s\n' "omendb: $*"; }
warn() { printf '%s\n' "omendb: $*" >&2; }
die() {
	warn "$*"
	exit 1
}

# Until stop_progress: says now and then that WHAT still goes on, since when, and
# what a command prints of how far it is. Every five seconds for somebody who looks
# on, every half minute for a file.
start_progress() { # WHAT [COMMAND...]
	local what=$1 start=$SECONDS every=30 elapsed next
	shift
	if [[ -t 1 ]]; then every=5; fi
	next=$every
	# One second a sleep: the last one outlives this, and keeps the output open.
	while sleep 1; do
		elapsed=$((SECONDS - start))
		if [[ $elapsed -ge $next ]]; then
			say "$what: ${1:+$("$@"), }$elapsed s"
			next=$((elapsed + every))
		fi
	done &
	progress=$!
}
progress=

stop_progress() {
	if [[ -z $progress ]]; then return; fi
	{
		kill "$progress"
		wait "$progress" || true
	} 2>/dev/null
	progress=
}

# Prints the Debian mirror that this machine uses, or nothing.
host_mirror() {
	# shellcheck disable=SC2016  # apt's own syntax
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		grep -v security | head -n 1 || true
}

# Prints the major version that this Debian has, or nothing if apt knows no package yet.
distribution_version() {
	{ apt-cache depends --important postgresql 2>/dev/null || true; } |
		sed -nE 's/^ *Depends: postgresql-([0-9]+)$/\1/p' | head -n 1
}

# Sets as_user to what runs a command as another user than root, if root calls.
as_user=()
choose_user() {
	[[ $EUID -eq 0 ]] || return 0
	local user=postgres
	id -u "$user" >/dev/null 2>&1 || user=nobody
	# shellcheck disable=SC2034 # who sources this reads it
	as_user=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups --)
}

# Both the server and what is needed to build for it.
is_complete_postgres() { # PG_CONFIG
	local bindir pgxs headers
	bindir=$("$1" --bindir 2>/dev/null) && pgxs=$("$1" --pgxs 2>/dev/null) &&
		headers=$("$1" --includedir-server 2>/dev/null) &&
		[[ -x $bindir/postgres && -x $bindir/initdb && -f $pgxs && -f $headers/postgres.h ]]
}

# Prints the pg_config to use, or fails. PG_CONFIG wins, then PGVERSION, then
# the newest complete installation that Debian's directories show, then PATH.
find_pg_config() {
	local candidate
	if [[ -n ${PG_CONFIG:-} ]]; then
		candidate=$(command -v "$PG_CONFIG") && is_complete_postgres "$candidate" &&
			printf '%s\n' "$candidate"
		return
	fi
	while IFS= read -r candidate; do
		if is_complete_postgres "$candidate"; then
			printf '%s\n' "$candidate"
			return
		fi
	done < <(
		# shellcheck disable=SC2086  # an empty PGVERSION is to be the pattern
		printf '%s\n' /usr/lib/postgresql/${PGVERSION:-*}/bin/pg_config | sort -rV
		[[ -n ${PGVERSION:-} ]] || command -v pg_config || true
	)
	return 1
}

postgres_major() { # PG_CONFIG
	"$1" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/'
}

# Prints every file that belongs to the tree, NUL-terminated, relative to ROOT:
# in a git work tree what git tracks or would add, elsewhere all but build
# output. Deleted files are left out.
list_source() { # ROOT
	local root=$1 file
	(
		cd "$root" || exit
		# A work tree of another owner is normal here (root builds in a user's tree).
		if [[ $(git -c safe.directory="$root" rev-parse --show-toplevel 2>/dev/null) == "$root" ]]; then
			git -c safe.directory="$root" ls-files -z --cached --others --exclude-standard | sort -zu
		else
			find . -mindepth 1 \( -name .git -o -path ./build -o -path ./results -o -path ./output_iso \
				-o -path ./tmp_check \) -prune -o ! -type d \
				! -name '*.o' ! -name '*.bc' ! -name '*.so' ! -path './regression.*' -print0
		fi
	) | while IFS= read -r -d '' file; do
		if [[ -e $root/$file ]]; then printf '%s\0' "$file"; fi
	done
}

# A tar of the tree on standard output.
pack_source() { # ROOT
	list_source "$1" | tar -C "$1" --null --no-recursion --owner=0 --group=0 -T - -cf -
}
