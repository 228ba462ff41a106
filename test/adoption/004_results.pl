# Which functions of pgvector's give other bits in omendb's library: none but those that adoption
# takes for such (src/diag/adoption.c), for what was computed by the others stays as it is. Needs
# pgvector and `make install-adoption`: TESTS=adoption.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use OmendbTest;

use Test::More;

my $node = start_node('results');

# All functions of omendb's that pgvector has, with their symbols, in the schema om beside pgvector's.
$node->safe_psql('postgres', 'CREATE DATABASE own');
$node->safe_psql('postgres', 'CREATE DATABASE two');
$node->safe_psql('own', 'CREATE EXTENSION omendb');
$node->safe_psql('two', 'CREATE EXTENSION vector; CREATE SCHEMA om');
my @functions = map { [ split /\|/ ] } split /\n/, $node->safe_psql('own', q{
    SELECT proname, (SELECT string_agg(format_type(t, NULL), ', ' ORDER BY i) FROM unnest(proargtypes) WITH ORDINALITY a(t, i)), format_type(prorettype, NULL), prosrc
    FROM pg_proc p JOIN pg_depend d ON classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e' WHERE prokind = 'f' AND probin = '$libdir/omendb' ORDER BY prosrc, 1, 2});
my (@called, @not_called);
for my $function (@functions)
{
    my ($name, $arguments, $result, $symbol) = @$function;
    next if $node->safe_psql('two', "SELECT to_regprocedure('$name($arguments)') IS NULL") eq 't';
    if ("$arguments, $result" =~ /\binternal\b|handler|cstring\[\]/) { push @not_called, $name; next }
    $node->safe_psql('two', "CREATE FUNCTION om.$name($arguments) RETURNS $result IMMUTABLE STRICT PARALLEL SAFE LANGUAGE C AS '\$libdir/omendb', '$symbol'");
    push @called, $function;
}
# vector_recv(internal, oid, integer) and its like take what vector_send gives: 003_binary.pl.
is(join(' ', sort @not_called), 'halfvec_recv halfvec_typmod_in hnswhandler ivfflathandler sparsevec_recv sparsevec_typmod_in vector_recv vector_typmod_in', 'functions that SQL cannot call, or that compute nothing');

# Rows of 1 to 2,000 dimensions: of numbers of one size, of many sizes, of many digits, of integers, of few that are not 0.
$node->safe_psql('two', q{
    SELECT setseed(.15);
    CREATE FUNCTION number(kind int) RETURNS float8 VOLATILE LANGUAGE sql AS $$
        SELECT CASE WHEN random() < .5 THEN -1 ELSE 1 END * CASE kind WHEN 0 THEN random() + .001 WHEN 1 THEN 10 ^ (random() * 4 - 2) WHEN 2 THEN round((random() + random() + random())::numeric, 3) WHEN 3 THEN round(random() * 20)
            ELSE CASE WHEN random() < .1 THEN random() + .001 ELSE 0 END END $$;
    CREATE FUNCTION numbers(kind int, n int) RETURNS float8[] VOLATILE LANGUAGE sql AS 'SELECT array_agg(number(kind)) FROM generate_series(1, n)';
    CREATE TABLE data AS
        SELECT row_number() OVER () AS id, n, kind, numbers(kind, n) AS d1, numbers(kind, n) AS d2
        FROM unnest(ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 96, 100, 127, 128, 129, 200, 255, 256, 257, 300, 384, 512, 768, 1000, 1024, 1536, 2000]) n, generate_series(0, 4) kind, generate_series(1, 20) i;
    ALTER TABLE data ADD v1 vector, ADD v2 vector, ADD h1 halfvec, ADD h2 halfvec, ADD s1 sparsevec, ADD s2 sparsevec, ADD b1 varbit, ADD b2 varbit;
    UPDATE data SET v1 = d1::vector, v2 = d2::vector, h1 = d1::vector::halfvec, h2 = d2::vector::halfvec, s1 = d1::vector::sparsevec, s2 = d2::vector::sparsevec, b1 = binary_quantize(d1::vector), b2 = binary_quantize(d2::vector);
    VACUUM ANALYZE data});

# What to call a function with, by the types of its arguments: the first one and the others of a type.
my %values = (
    vector => [ 'v1', 'v2' ], halfvec => [ 'h1', 'h2' ], sparsevec => [ 's1', 's2' ], bit => [ 'b1', 'b2' ], boolean => ['true'], oid => ['0'],
    'integer[]' => ['(SELECT array_agg(round(x)::int) FROM unnest(d1) x)'], 'real[]' => ['d1::real[]'], 'double precision[]' => [ 'array_prepend(7::float8, d1)', 'array_prepend(3::float8, d2)' ],
    'numeric[]' => ['(SELECT array_agg(x::numeric / 3) FROM unnest(d1) x)'],
);
sub call
{
    my ($schema, $name, $arguments, $result) = @_;
    my %count;
    my @given;
    for my $type (split /, /, $arguments)
    {
        my $i = $count{$type}++;
        push @given, $type eq 'cstring' ? 'textout(' . ($name =~ /^sparsevec/ ? 's1::text' : "replace(replace(d1::text, '{', '['), '}', ']')") . ')'
            : $type eq 'integer' ? ($name eq 'subvector' ? ('(n + 2) / 3', 'n / 2 + 1')[$i] : '-1')
            : $name =~ /^array_to_/ && $type =~ /double/ ? 'd1'
            : $values{$type}[$i];
    }
    my $call = "$schema.$name(" . join(', ', @given) . ')';
    return $result eq 'cstring' ? "textin($call)" : "$call\::text";
}
my %differs;
for my $function (@called)
{
    my ($name, $arguments, $result, $symbol) = @$function;
    my ($theirs, $ours) = map { call($_, $name, $arguments, $result) } 'public', 'om';
    my ($differ, $all, $example) = split /\|/,
        $node->safe_psql('two', "SELECT count(*) FILTER (WHERE a IS DISTINCT FROM b), count(a), (array_agg(id) FILTER (WHERE a IS DISTINCT FROM b))[1] FROM (SELECT id, $theirs a, $ours b FROM data OFFSET 0) q");
    cmp_ok($all, '>', 3000, "$name($arguments): results to compare") or diag("only $all");
    $differs{"$name($arguments)"} = $differ;
}
# Of the aggregates sum by addition; avg by its functions, which are called above for a row, here for all.
for my $type (qw(vector halfvec))
{
    $node->safe_psql('two', "CREATE AGGREGATE om.avg($type) (SFUNC = om.${type}_accum, STYPE = double precision[], FINALFUNC = om.${type}_avg, COMBINEFUNC = om.${type}_combine, INITCOND = '{0}', PARALLEL = SAFE);
        CREATE AGGREGATE om.sum($type) (SFUNC = om.${type}_add, STYPE = $type, COMBINEFUNC = om.${type}_add, PARALLEL = SAFE)");
    my $x = $type eq 'vector' ? 'v1' : 'h1';
    is($node->safe_psql('two', "SELECT count(*) FILTER (WHERE a <> b), count(*) FROM (SELECT public.$_($x)::text a, om.$_($x)::text b FROM data GROUP BY n, kind) q"), '0|195', "$_($type)") for qw(avg sum);
}

# Rare ones: a norm that differs in its last bit gives an element that differs where the quotient
# lies between two floats. That is one of some 100 million, so they are looked for.
$node->safe_psql('two', 'CREATE TABLE rare AS SELECT i, numbers(0, 2000)::vector v FROM generate_series(1, 1000) i; ANALYZE rare');
for my $type (qw(vector sparsevec))
{
    $differs{"l2_normalize($type)"} ||= $node->safe_psql('two', "SELECT count(*) FROM (SELECT FROM (SELECT (a.v * b.v)::$type p FROM rare a, rare b WHERE a.i < b.i OFFSET 0) q WHERE public.l2_normalize(p) <> om.l2_normalize(p) LIMIT 1) q");
}

# What adoption takes for inexact.
$node->safe_psql('own', q{CREATE FUNCTION inexact() RETURNS text[] LANGUAGE C AS '$libdir/omendb', 'omendb_sql_adoption_inexact'});
my %inexact = map { $_ => 1 } split /\n/, $node->safe_psql('own', 'SELECT unnest(inexact())');
my ($known, $same) = ('', '');
for my $function (sort keys %differs)
{
    my $name = $function =~ s/\(.*//r;
    $known .= "$function\n" if $differs{$function} && !$inexact{$name};
    # As the others, but halves are too coarse for a difference to be met with.
    $same .= "$function\n" if !$differs{$function} && $inexact{$name} && $function ne 'l2_normalize(halfvec)';
}
is($known, '', 'functions that give other bits, and are not known for it');
is($same, '', 'functions that are known for other bits, and give the same ones');
is_deeply([ sort keys %inexact ], [ sort grep { my $name = $_; grep { /^\Q$name\E\(/ } keys %differs } keys %inexact ], 'there are such functions');
diag(join ', ', map { "$_: $differs{$_}" } grep { $differs{$_} } sort keys %differs);

$node->stop;
done_testing();
