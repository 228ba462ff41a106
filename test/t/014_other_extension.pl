# Another extension whose settings are called hnsw.* as well: who does not use
# omendb is not disturbed, and who uses both is told.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

# A library that defines what such an extension does.
my $dir = scratch_dir();
chmod 0755, $dir;
append_to_file("$dir/other.c", <<'END');
#include "postgres.h"
#include "fmgr.h"
#include "utils/guc.h"
PG_MODULE_MAGIC;
static int ef_search;
void _PG_init(void);
void
_PG_init(void)
{
	DefineCustomIntVariable("hnsw.ef_search", "Another's.", NULL, &ef_search, 77, 1, 1000, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("hnsw");
}
END
chomp(my $include = `pg_config --includedir-server`);
my $output = '';
ok(IPC::Run::run([ 'cc', '-shared', '-fPIC', '-Wno-missing-prototypes', "-I$include", "$dir/other.c", '-o', "$dir/other.so" ], '>&', \$output), 'another library is built')
    or BAIL_OUT($output);
my $other = "LOAD '$dir/other.so';";

my $node = start_node('other');
create_omendb($node, 'ours');
$node->safe_psql('postgres', 'CREATE DATABASE theirs');
$node->safe_psql('ours', "CREATE TABLE t (v vector(2)); INSERT INTO t VALUES ('[1,2]'); CREATE INDEX ON t USING hnsw (v vector_l2_ops)");

# A database without omendb.
is(sqlstate($node, 'theirs', 'SHOW hnsw.ef_search'), '42704', 'elsewhere there is no such setting');
is((session($node, 'theirs', "$other SHOW hnsw.ef_search"))[0], 77, 'and another may define it');
is(sqlstate($node, 'theirs', "SET hnsw.something = 1"), '', 'or anything of that prefix');

# In one that uses omendb, settings wait for the library, which checks them.
is((session($node, 'ours', "SET hnsw.ef_search = 7; SELECT v FROM t; SHOW hnsw.ef_search"))[0], "[1,2]\n7", 'a value set before the library was loaded');
my ($shown, $said) = session($node, 'ours', "SET hnsw.ef_search = 7000; SELECT v FROM t; SHOW hnsw.ef_search");
is($shown, "[1,2]\n40", 'one out of range is not taken');
like($said, qr/WARNING/, 'with a warning');

# Both in one session.
is(sqlstate($node, 'ours', "$other SELECT v FROM t"), '42710', 'omendb after another');
my (undef, $stderr) = ('', '');
$node->psql('ours', "$other SELECT v FROM t", stderr => \$stderr);
like($stderr, qr/the setting "hnsw\.ef_search" is already defined by another extension/, 'says what is wrong');
like($stderr, qr/HINT:.*shared_preload_libraries/, 'and what to do');
isnt(sqlstate($node, 'ours', "SELECT v FROM t; $other"), '', 'another after omendb is refused by the server');
is($node->safe_psql('ours', 'SELECT v FROM t ORDER BY v <-> \'[0,0]\''), '[1,2]', 'other sessions are not disturbed');

$node->stop;
done_testing();
