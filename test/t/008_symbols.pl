# What the installed library shows to the dynamic linker: the functions that SQL
# names and nothing else, and each of them is used.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('symbols');
create_omendb($node, 'symbols');

chomp(my $libdir = `pg_config --pkglibdir`);
chomp(my $bindir = `pg_config --bindir`);
my ($library) = grep { -e $_ } map { "$libdir/omendb.$_" } qw(so dylib);
ok(defined $library, 'the library is installed') or BAIL_OUT("no omendb in $libdir");

# name => type letter, of the dynamic symbols that a file defines or needs
sub symbols
{
    my ($file, $which) = @_;
    my %symbols;
    my ($stdout, $stderr) = ('', '');
    IPC::Run::run([ 'nm', '-D', "--$which-only", $file ], '>', \$stdout, '2>', \$stderr) or BAIL_OUT("nm failed: $stderr");
    for my $line (split /\n/, $stdout)
    {
        # [address] type name[@version]
        my ($type, $name) = $line =~ /^(?:[0-9a-f]+)?\s+(\w)\s+(\S+)$/ or next;
        $symbols{$name} = $type;
    }
    return %symbols;
}

my %defined = symbols($library, 'defined');
cmp_ok(scalar keys %defined, '>', 100, 'it has symbols');
is_deeply([ sort grep { !/^(?:Pg_magic_func|_PG_init|omendb_sql_\w+|pg_finfo_omendb_sql_\w+|omendb_worker_\w+)$/ } keys %defined ], [], 'it exports nothing but its entry points');
ok($defined{Pg_magic_func}, 'the magic block');
ok($defined{_PG_init}, 'the start');

my @sources  = split /\n/, $node->safe_psql('symbols', q{SELECT DISTINCT prosrc FROM pg_proc WHERE probin = '$libdir/omendb' ORDER BY 1});
# Or that the scripts name which make a database of pgvector's omendb's.
# And that tests ask for what the scripts take for inexact.
my %source   = map { $_ => 1 } @sources, 'omendb_sql_adoption_inexact', map { slurp_file(source_root() . "/sql/$_") =~ /["'](omendb_sql_\w+)["']/g } 'script.awk', 'vector-steps.sql.in';
my @exported = grep { /^omendb_sql_/ } sort keys %defined;
is_deeply([ grep { !$defined{$_} } @sources ], [], 'every function that SQL names is exported');
is_deeply([ grep { !$source{$_} } @exported ], [], 'every exported function is one that SQL names');
is_deeply([ grep { !$defined{"pg_finfo_$_"} } @exported ], [], 'each has its information record');
is_deeply([ grep { /^pg_finfo_(.*)/ && !$defined{$1} } sort keys %defined ], [], 'each record its function');
is_deeply([ grep { /^omendb_worker_/ } sort keys %defined ], ['omendb_worker_hnsw_build'], 'what parallel workers run');
is_deeply([ grep { $defined{$_} ne 'T' } @exported ], [], 'they are functions');
# In every database where it is installed: template1 has it not.
is($node->safe_psql('template1', q{SELECT count(*) FROM pg_proc WHERE probin = '$libdir/omendb'}), 0, 'no other database has them');

# What it needs: the server's symbols, and those of the C and mathematics libraries
# that the server is linked with.
my %needed = symbols($library, 'undefined');
my %offered = symbols("$bindir/postgres", 'defined');
my @libraries = grep { -e $_ } map { m{=> (/\S*/lib[cm][.-]\S+)} ? $1 : () } split /\n/, `ldd $bindir/postgres $library`;
cmp_ok(scalar @libraries, '>', 0, 'the C library is found');
%offered = (%offered, symbols($_, 'defined')) for @libraries;
my %plain = map { (my $name = $_) =~ s/\@.*//; $name => 1 } keys %offered;
# U: needed; w: weak, not needed. Instrumented builds bring symbols of their runtime.
my @foreign = grep { my $name = s/\@.*//r; $needed{$_} eq 'U' && !$plain{$name} && $name !~ /^__(?:asan|ubsan|tsan|sanitizer|gcov|llvm)_/ } sort keys %needed;
is_deeply(\@foreign, [], 'it needs nothing else');

$node->stop;
done_testing();
