# The catalogs of an installed omendb against the list of pgvector's SQL surface,
# row by row and in both directions.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;
use lib compat_dir();
use Surface qw(read_list read_differences split_scope compare catalog_rows checks_of run_check row_name);

use PostgreSQL::Test::Utils;
use Test::More;

my @rows = read_list(compat_dir() . '/pgvector-surface.tsv');
my $node = start_node('surface');
create_omendb($node, 'surface');
use_node($node, 'surface');

my @deliberate = read_differences(compat_dir() . '/differences.tsv');
my ($in, $later) = split_scope(\@deliberate, @rows);
my @own = @Surface::OWN;

diag(row_name($_->{row}) . ($_->{instead} eq '' ? ' -- later' : " -- instead: $_->{instead}") . ", because $_->{reason}") for @deliberate;

# ---------------------------------------------------------------- the scope itself

is(@rows, 256, 'the list is complete');
is(@$in + @$later, @rows, 'every row is in one scope');
is(@$later, 0, 'none comes later');
is_deeply([ sort map { $_->{row}[1] } grep { $_->{status} eq 'differs' } @deliberate ], [qw(halfvec hnsw.iterative_scan sparsevec vector)], 'rows that differ on purpose');

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
    my @checks = checks_of($row);
    cmp_ok(scalar @checks, '>', 0, 'there is a check of ' . row_name($row));
    is(run_check($_), '', $_->{name}) for @checks;
}

# ---------------------------------------------------------------- the rows of hnsw

{
    # All of them, as pgvector has them: each one is asked for ...
    my ($with) = split_scope([], @rows);
    my @wanted = grep { !$Surface::BEHAVIOUR{ $_->[0] } } @$with;
    my @without = grep { row_name($_) !~ /hnsw/ } @wanted;
    is_deeply([ compare($with, \@wanted, []) ], [], 'a server that has every row has no difference');
    my %missing = map { $_ => 1 } compare($with, \@without, []);
    my @hnsw_rows = grep { row_name($_) =~ /hnsw/ } @wanted;
    is(@hnsw_rows, 32, 'catalog rows of hnsw');
    is_deeply([ grep { !$missing{ 'missing: ' . row_name($_) } } @hnsw_rows ], [], 'each is missed');
    is(keys %missing, @hnsw_rows, 'and nothing else');

    # ... and what differs on purpose is a difference without its line.
    my %changed = map { $_ => 1 } compare($with, \@actual, \@own);
    is_deeply([ sort keys %changed ],
        [ sort((map { 'missing: ' . row_name($_) } @$later), grep { /iterative_scan/ } keys %changed) ], 'the catalogs differ from those of pgvector by what is listed');

    # There are checks of the limits and options.
    my %checks = map { $_->[1] => scalar(checks_of($_)) } grep { $_->[0] eq 'limit' or $_->[0] eq 'index option' } @$with;
    is_deeply(\%checks, { vector => 9, halfvec => 9, sparsevec => 6, bit => 3, 'hnsw: m' => 7, 'hnsw: ef_construction' => 9, 'ivfflat: lists' => 5 }, 'checks of limits and options');

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

# ---------------------------------------------------------------- what is wrong with a list of differences

{
    my $dir = scratch_dir();
    for my $case (
        [ "type\tvector\tx\tdiffers\ty\twhy",        'is of no row' ],
        [ "type\tvector\tx\tsometimes\ty\twhy",      'later or differs' ],
        [ "type\tvector\tx\tlater\ty\twhy",          'what it differs by' ],
        [ "type\tvector\tx\tdiffers\t\twhy",         'what it differs by' ],
        [ "type\tvector\tx\tdiffers\tx\twhy",        'what it differs by' ],
        [ "type\tvector\tx\tdiffers\ty\t",           'no reason' ],
        [ "type\tvector\tx\tdiffers\ty",             'expected 6 columns' ],)
    {
        my ($line, $expected) = @$case;
        unlink "$dir/differences";
        append_to_file("$dir/differences", "$line\n");
        ok(!eval { split_scope([ read_differences("$dir/differences") ], @rows); 1 }, "refused: $expected");
        like($@, qr/\Q$expected\E/, 'and why');
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
like($stdout, qr/^\d+ rows checked, 0 differences; 4 rows differ on purpose, 0 come later/m, 'and says so');
is(() = $stdout =~ /^deliberate: .*\n    (?:later|instead: .+)\n    because .+$/mg, scalar(@deliberate), 'and what is deliberate, and why');

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
    [ 'ALTER EXTENSION omendb DROP OPERATOR CLASS vector_l2_ops USING hnsw; ALTER EXTENSION omendb DROP OPERATOR FAMILY vector_l2_ops USING hnsw', 'missing: operator class vector_l2_ops: access method hnsw', 2 ],
    [ 'CREATE OPERATOR CLASS sparsevec_l3_ops FOR TYPE sparsevec USING hnsw AS FUNCTION 2 l2_norm(sparsevec);
       ALTER EXTENSION omendb ADD OPERATOR CLASS sparsevec_l3_ops USING hnsw; ALTER EXTENSION omendb ADD OPERATOR FAMILY sparsevec_l3_ops USING hnsw', 'extra: operator class sparsevec_l3_ops: access method hnsw' ],
    [ "UPDATE pg_opclass SET opcdefault = true WHERE opcname = 'bit_hamming_ops' AND opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw')", 'different: operator class bit_hamming_ops' ],
    [ "UPDATE pg_amop SET amopopr = '<%> (bit, bit)'::regoperator WHERE amopopr = '<~> (bit, bit)'::regoperator AND amopmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw')", 'different: opclass operator bit_hamming_ops (hnsw): strategy 1' ],)
{
    my ($sql, $expected, $differences) = @$case;
    my $db = 'scratch' . ++$scratch;
    $node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE surface");
    $node->safe_psql($db, $sql);
    use_node($node, $db);
    ($status, $stdout) = check_surface();
    is($status, 1, "check-surface refuses: $expected");
    like($stdout, qr/^\Q$expected\E/m, 'and names it');
    is(() = $stdout =~ /^(?:missing|extra|different): /mg, $differences // 1, 'and nothing else');
}
use_node($node, 'surface');

# A behavioural row that is not so.
isnt(join('', map { run_check($_) } checks_of([ 'limit', 'vector', '1..15999 dimensions' ])), '', 'a wrong limit is noticed');
isnt(join('', map { run_check($_) } checks_of([ 'limit', 'vector', '1..16000 dimensions; hnsw index up to 2000' ])), '', 'a limit of an index that is not is noticed');
isnt(join('', map { run_check($_) } checks_of([ 'text format', 'vector', '{1,2,3}' ])), '', 'a wrong text format is noticed');
ok(!eval { checks_of([ 'binary format', 'vector', 'something else' ]); 1 }, 'a binary format of other words needs another check');

# No extension at all.
use_node($node, 'postgres');
($status, $stdout, $stderr) = check_surface();
isnt($status, 0, 'check-surface refuses a database without the extension');
like($stderr, qr/no extension omendb/, 'and says why');

$node->stop;
done_testing();
