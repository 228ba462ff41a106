# Random queries over random tables with hnsw indexes answer what the same
# queries answer without indexes. See test/random/RandomQueries.pm for what they
# are, RandomJudge.pm for how they are compared.
#
#     OMENDB_RANDOM_SEEDS=n     how many seeds, OMENDB_RANDOM_FIRST=n the first
#
# A failed seed says which of its queries is wrong, and its SQL. On any server
# with the extension (PGHOST, PGDATABASE, ...) it is repeated by
#
#     test/random/run SEED QUERY
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib", "$FindBin::RealBin/../random";
use HnswTest;
use OmendbTest;
use RandomJudge qw(run_case known_settings compare);
use RandomQueries qw(random_case case_script describe_failure);

use Test::More;

# That the judge tells right from wrong: of a list of six rows, two equally far.
my @all = ('1|a', '2|b', '2|c', '3|d', 'NaN|e', 'NULL|f');
my %judged = (
    'all rows'                      => [ {}, [@all], 1 ],
    'equal rows change places'      => [ {}, [ @all[ 0, 2, 1, 3 .. 5 ] ], 1 ],
    'two rows change places'        => [ {}, [ @all[ 1, 0, 2 .. 5 ] ], 0 ],
    'a row is missing'              => [ {}, [ @all[ 0 .. 4 ] ], 0 ],
    'a row comes twice'             => [ {}, [ @all[ 0, 1, 1, 3 .. 5 ] ], 0 ],
    'a row is of another table'     => [ {}, [ @all[ 0 .. 2 ], '3|x', @all[ 4, 5 ] ], 0 ],
    'either of two at the cut'      => [ { slice => [ 0, 2 ] }, [ @all[ 0, 2 ] ], 1 ],
    'farther than the cut'          => [ { slice => [ 0, 2 ] }, [ @all[ 0, 3 ] ], 0 ],
    'farther, by a narrow search'   => [ { slice => [ 0, 2 ], exact => 0 }, [ @all[ 0, 3 ] ], 1 ],
    'too few, by a narrow search'   => [ { slice => [ 0, 2 ], exact => 0 }, [ $all[0] ], 0 ],
    'disorder of a narrow search'   => [ { slice => [ 0, 2 ], exact => 0 }, [ @all[ 1, 0 ] ], 0 ],
    'a row twice, narrow search'    => [ { slice => [ 0, 2 ], exact => 0 }, [ @all[ 0, 0 ] ], 0 ],
    'with ties'                     => [ { slice => [ 0, 2 ], ties => 1 }, [ @all[ 0 .. 2 ] ], 1 ],
    'without the ties'              => [ { slice => [ 0, 2 ], ties => 1 }, [ @all[ 0, 1 ] ], 0 ],
    'beyond an offset'              => [ { slice => [ 3, 2 ] }, [ @all[ 3, 4 ] ], 1 ],
    'back and forth'                => [ { moves => [ [ 'fetch', 2 ], [ 'back', 1 ], [ 'fetch', 2 ] ] }, [ @all[ 0, 1, 0, 1, 2 ] ], 1 ],
    'another row on the way back'   => [ { moves => [ [ 'fetch', 3 ], [ 'back', 1 ] ] }, [ @all[ 0, 1, 2, 2 ] ], 0 ],
    'a bag in any order'            => [ { keys => 0 }, [ reverse @all ], 1 ],
    'a bag with too much'           => [ { keys => 0 }, [ @all, '1|a' ], 0 ],);
for my $name (sort keys %judged)
{
    my ($query, $rows, $right) = @{ $judged{$name} };
    my $problem = compare({ keys => 1, exact => 1, slice => [0], ef => 1000, %$query }, $rows, [@all], { recall => [ 0, 0 ] });
    is(defined $problem ? 0 : 1, $right, "the judge: $name");
}

# It goes on after a crash, and nothing but the queries changes the tables.
my $node = start_node(
    'random', q{
    autovacuum = off
    fsync = off
    log_statement = none
    log_min_error_statement = panic
    restart_after_crash = on
});
my $db = 'random';
create_omendb($node, $db);
use_node($node, $db);

my $first = $ENV{OMENDB_RANDOM_FIRST} // 1;
my $seeds = $ENV{OMENDB_RANDOM_SEEDS} // 15;
my %known = known_settings();
ok($known{'hnsw.ef_search'}, 'the settings are known: ' . join ' ', sort keys %known);

my ($plans, $explained) = (0, 0);
for my $seed ($first .. $first + $seeds - 1)
{
    my $from   = -s $node->logfile;
    my $case   = random_case($seed, %known);
    my $result = run_case($case, sub { case_script($case, from => $_[0]) });
    my $log    = errors_in_log($node, $from, qr/ERROR|FATAL|WARNING(?!.*leak)/);
    ok(!@{ $result->{failures} } && $log eq '', "seed $seed");
    diag(describe_failure($seed, $_)) for @{ $result->{failures} };
    diag($log) if $log ne '';
    $plans     += $result->{plans};
    $explained += $result->{explained};
    $node->safe_psql($db, "DROP SCHEMA IF EXISTS random_$seed CASCADE");
}
# Else the queries would test the sort.
cmp_ok($plans, '>=', 0.3 * $explained, "$plans of $explained plans search an index");

$node->stop;
done_testing();
