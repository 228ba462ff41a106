# The catalogs of an installed omendb against the list of pgvector's SQL surface,
# row by row and in both directions.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;
use lib compat_dir();
use Surface qw(read_list split_scope compare catalog_rows has_hnsw checks_of run_check row_name);

use PostgreSQL::Test::Utils;
use Test::More;

my @rows = read_list(compat_dir() . '/pgvector-surface.tsv');
my $node = start_node('surface');
create_omendb($node, 'surface');
use_node($node, 'surface');

my $hnsw = has_hnsw('omendb');
my ($in, $waiting, $out) = split_scope($hnsw, @rows);
my @own = (@Surface::OWN, $hnsw ? [ 'access method', 'hnsw', 'index' ] : ());

diag(scalar(@$out) . ' rows are of ivfflat: out of scope for good, hnsw is the index of omendb');
diag(scalar(@$waiting) . ' rows are of hnsw: out of scope until the extension has that access method') unless $hnsw;

# ---------------------------------------------------------------- the scope itself

is(@rows, 256, 'the list is complete');
is(@$in + @$waiting + @$out, @rows, 'every row is in one scope');
is(@$out,     18,             'rows of ivfflat');
is(@$waiting, $hnsw ? 0 : 35, 'rows that wait for hnsw');
is((grep { row_name($_) =~ /ivfflat/ } @$in, @$waiting), 0, 'ivfflat is nowhere else');
is((grep { row_name($_) =~ /hnsw/ and $_->[0] ne 'limit' } @$in), 0, 'hnsw is nowhere else') unless $hnsw;

# ---------------------------------------------------------------- catalogs, both ways

my @actual      = catalog_rows('omendb');
my @differences = compare($in, \@actual, \@own);

for my $row (grep { !$Surface::BEHAVIOUR{ $_->[0] } } @$in, @own)
{
    my $name = row_name($row);
    my @found = grep { index($_, $name) >= 0 && !/^extra/ } @differences;
    is("@found", '', $name);
}
is(join("\n", grep { /^extra/ } @differences), '', 'the extension has no other objects');

# ---------------------------------------------------------------- behaviour

for my $row (grep { $Surface::BEHAVIOUR{ $_->[0] } } @$in)
{
    my @checks = checks_of($hnsw, $row);
    cmp_ok(scalar @checks, '>', 0, 'there is a check of ' . row_name($row));
    is(run_check($_), '', $_->{name}) for @checks;
}

# ---------------------------------------------------------------- the rows of hnsw, before there is one

{
    # Once hnsw exists, its rows are asked for, each of them ...
    my ($with) = split_scope(1, @rows);
    my @wanted = grep { !$Surface::BEHAVIOUR{ $_->[0] } } @$with;
    my @without = grep { row_name($_) !~ /hnsw/ } @wanted;
    is_deeply([ compare($with, \@wanted, []) ], [], 'a server that has every row has no difference');
    my %missing = map { $_ => 1 } compare($with, \@without, []);
    my @hnsw_rows = grep { row_name($_) =~ /hnsw/ } @wanted;
    is(@hnsw_rows, 32, 'catalog rows of hnsw');
    is_deeply([ grep { !$missing{ 'missing: ' . row_name($_) } } @hnsw_rows ], [], 'each is missed');
    is(keys %missing, @hnsw_rows, 'and nothing else');

    # ... and the behaviour of its limits and options.
    my %checks = map { $_->[1] => scalar(checks_of(1, $_)) - scalar(checks_of(0, $_)) } grep { $_->[0] eq 'limit' or $_->[0] eq 'index option' } @$with;
    is_deeply({ map { $_ => $checks{$_} } grep { $checks{$_} } keys %checks },
        { vector => 2, halfvec => 2, sparsevec => 2, bit => 2, 'hnsw: m' => 7, 'hnsw: ef_construction' => 9 }, 'checks that come with hnsw');

    # Differences of each kind of attribute are seen.
    for my $change (
        [ 'setting', 'hnsw.ef_search', 'range 1\.\.1000', 'range 1..999' ],
        [ 'setting', 'hnsw.iterative_scan', 'strict_order', 'strict' ],
        [ 'setting', 'hnsw.scan_mem_multiplier', 'user', 'superuser' ],
        [ 'operator class', 'vector_l2_ops', 'type vector', 'type vector, default' ],
        [ 'opclass operator', 'bit_jaccard_ops \(hnsw\)', '<%>', '<~>' ],
        [ 'opclass operator', 'sparsevec_l1_ops \(hnsw\)', ' for order by float_ops', '' ],)
    {
        my ($kind, $object, $from, $to) = @$change;
        my ($changed) = grep { $_->[0] eq $kind && $_->[1] =~ /^$object$/ && $_->[2] =~ /$from/ } @wanted;
        (my $attributes = $changed->[2]) =~ s/$from/$to/;
        my @altered = map { $_ == $changed ? [ $kind, $changed->[1], $attributes ] : $_ } @wanted;
        my @found = compare($with, \@altered, []);
        is(@found, 1, "$kind $changed->[1]: one difference");
        like($found[0], qr/^different: \Q$kind $changed->[1]\E/, 'which names it');
    }
}

# ---------------------------------------------------------------- the checker can fail

sub check_surface
{
    my ($stdout, $stderr) = ('', '');
    IPC::Run::run([ $^X, compat_dir() . '/check-surface' ], '>', \$stdout, '2>', \$stderr);
    return ($? >> 8, $stdout, $stderr);
}

my ($status, $stdout, $stderr) = check_surface();
is($status, 0, 'check-surface accepts the extension') or diag($stdout, $stderr);
like($stdout, qr/^\d+ rows checked, 0 differences/m, 'and says so');

my $scratch = 0;
for my $case (
    [ 'ALTER FUNCTION l2_distance(vector, vector) PARALLEL UNSAFE', 'different: function l2_distance(vector, vector)' ],
    [ 'ALTER FUNCTION vector_add(vector, vector) VOLATILE', 'different: function vector_add(vector, vector)' ],
    [ 'ALTER FUNCTION inner_product(halfvec, halfvec) CALLED ON NULL INPUT', 'different: function inner_product(halfvec, halfvec)' ],
    [ 'ALTER EXTENSION omendb DROP CAST (integer[] AS vector); DROP CAST (integer[] AS vector)', 'missing: cast integer[] as vector' ],
    [ 'ALTER EXTENSION omendb DROP CAST (vector AS real[]); DROP CAST (vector AS real[]);
       CREATE CAST (vector AS real[]) WITH FUNCTION vector_to_float4(vector, integer, boolean) AS ASSIGNMENT;
       ALTER EXTENSION omendb ADD CAST (vector AS real[])', 'different: cast vector as real[]' ],
    [ 'ALTER EXTENSION omendb DROP AGGREGATE sum(vector)', 'missing: aggregate sum(vector)' ],
    [ 'ALTER OPERATOR < (vector, vector) SET (RESTRICT = NONE)', 'different: operator vector < vector' ],
    [ "UPDATE pg_operator SET oprnegate = 0 WHERE oid = '= (sparsevec, sparsevec)'::regoperator", 'different: operator sparsevec = sparsevec' ],
    [ "UPDATE pg_type SET typstorage = 'x' WHERE typname = 'halfvec'", 'different: type halfvec' ],
    [ "UPDATE pg_type SET typsend = 'halfvec_send'::regproc WHERE typname = 'vector'", 'different: type vector' ],
    [ "UPDATE pg_opclass SET opcdefault = false WHERE opcname = 'sparsevec_ops'", 'different: operator class sparsevec_ops' ],
    [ "UPDATE pg_amop SET amopopr = '<> (vector, vector)'::regoperator WHERE amopopr = '> (vector, vector)'::regoperator", 'different: opclass operator vector_ops (btree): strategy 5' ],
    [ 'CREATE FUNCTION another() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; ALTER EXTENSION omendb ADD FUNCTION another()', 'extra: function another() returns integer' ],
    [ 'CREATE SEQUENCE another; ALTER EXTENSION omendb ADD SEQUENCE another', 'extra: other object sequence another' ],
    [ 'CREATE ACCESS METHOD hnsw TYPE INDEX HANDLER bthandler; ALTER EXTENSION omendb ADD ACCESS METHOD hnsw', 'missing: operator class vector_l2_ops: access method hnsw' ],)
{
    my ($sql, $expected) = @$case;
    my $db = 'scratch' . ++$scratch;
    $node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE surface");
    $node->safe_psql($db, $sql);
    use_node($node, $db);
    ($status, $stdout) = check_surface();
    is($status, 1, "check-surface refuses: $expected");
    like($stdout, qr/^\Q$expected\E/m, 'and names it');
    # The last one asks for all of hnsw; the others change one thing.
    my $wanted = $expected =~ /hnsw/ ? 32 : 1;
    is(() = $stdout =~ /^(?:missing|extra|different): /mg, $wanted, 'and nothing else');
}
use_node($node, 'surface');

# A behavioural row that is not so.
isnt(join('', map { run_check($_) } checks_of(0, [ 'limit', 'vector', '1..15999 dimensions' ])), '', 'a wrong limit is noticed');
isnt(join('', map { run_check($_) } checks_of(0, [ 'text format', 'vector', '{1,2,3}' ])), '', 'a wrong text format is noticed');
ok(!eval { checks_of(0, [ 'binary format', 'vector', 'something else' ]); 1 }, 'a binary format of other words needs another check');

# No extension at all.
use_node($node, 'postgres');
($status, $stdout, $stderr) = check_surface();
isnt($status, 0, 'check-surface refuses a database without the extension');
like($stderr, qr/no extension omendb/, 'and says why');

$node->stop;
done_testing();
