# What the Perl tests share. Works with PostgreSQL::Test of 15 to 18.
package OmendbTest;

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Temp ();
use FindBin;
use IPC::Run ();

BEGIN
{
    # PostgreSQL::Test wants the server's pg_regress for initdb's authentication.
    if (!$ENV{PG_REGRESS})
    {
        chomp(my $pgxs = `pg_config --pgxs`);
        ($ENV{PG_REGRESS} = $pgxs) =~ s{/src/makefiles/pgxs\.mk$}{/src/test/regress/pg_regress};
    }
}

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(source_root compat_dir doc_sql scratch_dir start_node create_omendb use_node session sqlstate server_version check_pgvector simd_levels);

# The root of the source tree.
sub source_root
{
    return $ENV{OMENDB_SRC} // Cwd::abs_path("$FindBin::RealBin/../..");
}

sub compat_dir
{
    return source_root() . '/test/compat';
}

# The block of that name in a document of docs/: see test/doc-sql.
sub doc_sql
{
    my ($document, $name) = @_;
    my $sql = '';
    IPC::Run::run([ source_root() . '/test/doc-sql', source_root() . "/docs/$document", $name ], '>', \$sql) or die "no block $name in $document";
    return $sql;
}

# A directory with an absolute name, which the server reads and writes too.
sub scratch_dir
{
    return File::Temp::tempdir(CLEANUP => 1, TMPDIR => 1);
}

# A running server of its own, with lines for its postgresql.conf. Parameters of
# init go in a hash reference.
sub start_node
{
    my ($name, $conf, $init) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(%{ $init // {} });
    $node->append_conf('postgresql.conf', $conf) if defined $conf;
    $node->start;
    return $node;
}

# A new database with the extension.
sub create_omendb
{
    my ($node, $db) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $db");
    $node->safe_psql($db, 'CREATE EXTENSION omendb');
}

# Sends child processes to that database.
sub use_node
{
    my ($node, $db) = @_;
    ($ENV{PGHOST}, $ENV{PGPORT}, $ENV{PGDATABASE}) = ($node->host, $node->port, $db);
    return;
}

# One psql session for some SQL that goes on after errors: (stdout, stderr).
sub session
{
    my ($node, $db, $sql) = @_;
    my ($stdout, $stderr) = ('', '');
    $node->psql($db, $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
    return ($stdout, $stderr);
}

# The SQLSTATE that some SQL fails with, '' where it does not.
sub sqlstate
{
    my ($node, $db, $sql) = @_;
    my (undef, $stderr) = session($node, $db, $sql);
    return $stderr =~ /(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5})/ ? $1 : '';
}

# 150000, 160000, ...
sub server_version
{
    my ($node) = @_;
    return $node->safe_psql('postgres', 'SHOW server_version_num');
}

# The surface that is checked is that of pgvector 0.8.7; an older one behaves otherwise.
sub check_pgvector
{
    my ($node, $db) = @_;
    my $version = $node->safe_psql($db, q(SELECT extversion FROM pg_extension WHERE extname = 'vector'));
    my @parts   = split /\./, $version;
    cmp_ok(sprintf('%03d%03d%03d', @parts, 0, 0), 'ge', '000008007', "pgvector is 0.8.7 or newer: $version");
    return;
}

# The levels of omendb.simd_level that this machine has, 'scalar' first.
sub simd_levels
{
    my ($node, $db) = @_;
    return grep { sqlstate($node, $db, "LOAD 'omendb'; SET omendb.simd_level = '$_'") eq '' } qw(scalar neon avx2 avx512);
}

1;
