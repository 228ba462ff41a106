# The binary formats, byte for byte: what COPY BINARY reads and writes, and what
# it must refuse without harm to the server.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('binary');
create_omendb($node, 'wire');
my $scratch = scratch_dir();

# ---------------------------------------------------------------- COPY files

my $header  = "PGCOPY\n\xFF\r\n\0" . pack('N N', 0, 0);
my $trailer = pack('n', 0xFFFF);

# A file of one column; undef is NULL.
sub copy_file
{
    my (@fields) = @_;
    return $header . join('', map { pack('n', 1) . (defined $_ ? pack('N', length $_) . $_ : pack('N', 0xFFFFFFFF)) } @fields) . $trailer;
}

sub spew
{
    my ($path, $bytes) = @_;
    open my $fh, '>:raw', $path or die "$path: $!";
    print {$fh} $bytes;
    close $fh;
    return $path;
}

sub slurp_raw
{
    my ($path) = @_;
    open my $fh, '<:raw', $path or die "$path: $!";
    local $/;
    return <$fh>;
}

# Text of what a file of these fields gives, one line a row.
sub receive
{
    my ($type, @fields) = @_;
    my $path = spew("$scratch/in", copy_file(@fields));
    return $node->safe_psql('wire', "CREATE TEMP TABLE t (n serial, x $type); COPY t (x) FROM '$path' (FORMAT binary); SELECT coalesce(x::text, 'NULL') FROM t ORDER BY n");
}

# SQLSTATE of a file of this field.
sub receive_fails
{
    my ($type, $field) = @_;
    my $path = spew("$scratch/bad", copy_file($field));
    return sqlstate($node, 'wire', "CREATE TEMP TABLE t (x $type); COPY t FROM '$path' (FORMAT binary)");
}

sub floats { return pack 'f>*', @_ }
sub vector_bytes { return pack('n n', scalar @_, 0) . floats(@_) }
sub halfvec_bytes { return pack('n n n*', scalar @_, 0, @_) }

# (dimensions, [indices from 0], [values])
sub sparsevec_bytes
{
    my ($dim, $indices, $values) = @_;
    return pack('N N N N*', $dim, scalar @$indices, 0, @$indices) . floats(@$values);
}

# ---------------------------------------------------------------- good ones

my $nan = pack 'N', 0x7FC00000;
my $inf = pack 'N', 0x7F800000;

my @good = (
    [ 'vector', '[1]',            vector_bytes(1) ],
    [ 'vector', '[1,-2.5,0]',     vector_bytes(1, -2.5, 0) ],
    [ 'vector', '[-0]',           pack('n n N', 1, 0, 0x80000000) ],
    [ 'vector', '[1e-45,3.4028235e+38]', pack('n n N N', 2, 0, 1, 0x7F7FFFFF) ],
    [ 'vector(2)', '[1,2]',       vector_bytes(1, 2) ],
    [ 'halfvec', '[1,-2.5]',      halfvec_bytes(0x3C00, 0xC100) ],
    [ 'halfvec', '[65504,5.9604645e-08,-0]', halfvec_bytes(0x7BFF, 1, 0x8000) ],
    [ 'halfvec(1)', '[6.1035156e-05]', halfvec_bytes(0x0400) ],
    [ 'sparsevec', '{2:1,5:-2.5}/7', sparsevec_bytes(7, [ 1, 4 ], [ 1, -2.5 ]) ],
    [ 'sparsevec', '{}/1',         sparsevec_bytes(1, [], []) ],
    [ 'sparsevec', '{1:1,1000000000:2}/1000000000', sparsevec_bytes(1_000_000_000, [ 0, 999_999_999 ], [ 1, 2 ]) ],
    [ 'sparsevec(3)', '{1:1,2:2,3:3}/3', sparsevec_bytes(3, [ 0, 1, 2 ], [ 1, 2, 3 ]) ],);

for my $case (@good)
{
    my ($type, $text, $bytes) = @$case;
    is(receive($type, $bytes), $text, "$type $text comes in");
    (my $plain = $type) =~ s/\(.*//;
    is($node->safe_psql('wire', "SELECT encode(${plain}_send('$text'), 'hex')"), unpack('H*', $bytes), "$type $text goes out: send");
    my $path = "$scratch/out";
    $node->safe_psql('wire', "COPY (SELECT '$text'::$type UNION ALL SELECT NULL) TO '$path' (FORMAT binary)");
    is(unpack('H*', slurp_raw($path)), unpack('H*', copy_file($bytes, undef)), "$type $text goes out: COPY");
}
is(receive('vector', vector_bytes(1), undef, vector_bytes(2, 3)), "[1]\nNULL\n[2,3]", 'several rows, and NULL');

# The largest.
my $elements = '1' . ',1' x 15999;
is(receive('vector',  vector_bytes((1) x 16000)),       "[$elements]", 'a vector of 16000');
is(receive('halfvec', halfvec_bytes((0x3C00) x 16000)), "[$elements]", 'a halfvec of 16000');
is(receive('sparsevec', sparsevec_bytes(20000, [ 0 .. 15999 ], [ (1) x 16000 ])), '{' . join(',', map { "$_:1" } 1 .. 16000) . '}/20000', 'a sparsevec of 16000 elements');

# ---------------------------------------------------------------- bad ones

my @bad = (
    # too short: the protocol's own error
    [ 'vector', '08P01', 'nothing',        '' ],
    [ 'vector', '08P01', 'half a header',  pack('n', 1) ],
    [ 'vector', '08P01', 'no elements',    pack('n n', 1, 0) ],
    [ 'vector', '08P01', 'half an element', pack('n n n', 1, 0, 0) ],
    [ 'vector', '08P01', 'one too few',    pack('n n', 2, 0) . floats(1) ],
    [ 'vector', '08P01', '16000 of one',   pack('n n', 16000, 0) . floats(1) ],
    # too long: COPY's error
    [ 'vector', '22P03', 'one too many',   pack('n n', 1, 0) . floats(1, 2) ],
    [ 'vector', '22P03', 'a byte too many', vector_bytes(1) . "\0" ],
    [ 'vector', '22000', 'no dimensions',  pack('n n', 0, 0) ],
    [ 'vector', '22000', 'a negative number of them', pack('n n', 0xFFFF, 0) . floats(1) ],
    [ 'vector', '22000', 'the most negative',         pack('n n', 0x8000, 0) . floats(1) ],
    [ 'vector', '54000', '16001',          vector_bytes((1) x 16001) ],
    [ 'vector', '54000', '32767',          pack('n n', 0x7FFF, 0) ],
    [ 'vector', '22000', 'the unused bits', pack('n n', 1, 1) . floats(1) ],
    [ 'vector', '22000', 'all unused bits', pack('n n', 1, 0xFFFF) . floats(1) ],
    [ 'vector', '22000', 'NaN',            pack('n n', 1, 0) . $nan ],
    [ 'vector', '22000', 'infinity',       pack('n n', 2, 0) . floats(1) . $inf ],
    [ 'vector', '22000', '-infinity',      pack('n n N', 1, 0, 0xFF800000) ],
    [ 'vector(3)', '22000', 'other dimensions than the column', vector_bytes(1, 2) ],

    [ 'halfvec', '08P01', 'nothing',       '' ],
    [ 'halfvec', '08P01', 'no elements',   pack('n n', 1, 0) ],
    [ 'halfvec', '08P01', 'half an element', pack('n n C', 1, 0, 0) ],
    [ 'halfvec', '08P01', 'one too few',   pack('n n n', 2, 0, 0x3C00) ],
    [ 'halfvec', '22P03', 'one too many',  pack('n n n n', 1, 0, 0x3C00, 0x3C00) ],
    [ 'halfvec', '22000', 'no dimensions', pack('n n', 0, 0) ],
    [ 'halfvec', '22000', 'a negative number of them', pack('n n n', 0xFFFF, 0, 0x3C00) ],
    [ 'halfvec', '54000', '16001',         halfvec_bytes((0x3C00) x 16001) ],
    [ 'halfvec', '22000', 'the unused bits', pack('n n n', 1, 1, 0x3C00) ],
    [ 'halfvec', '22000', 'NaN',           halfvec_bytes(0x7E00) ],
    [ 'halfvec', '22000', 'signalling NaN', halfvec_bytes(0x7C01) ],
    [ 'halfvec', '22000', 'infinity',      halfvec_bytes(0x3C00, 0x7C00) ],
    [ 'halfvec', '22000', '-infinity',     halfvec_bytes(0xFC00) ],
    [ 'halfvec(3)', '22000', 'other dimensions than the column', halfvec_bytes(0x3C00) ],

    [ 'sparsevec', '08P01', 'nothing',     '' ],
    [ 'sparsevec', '08P01', 'half a header', pack('N N', 1, 0) ],
    [ 'sparsevec', '08P01', 'no indices',  pack('N N N', 5, 1, 0) ],
    [ 'sparsevec', '08P01', 'no values',   pack('N N N N', 5, 1, 0, 0) ],
    [ 'sparsevec', '08P01', 'half a value', pack('N N N N n', 5, 1, 0, 0, 0) ],
    [ 'sparsevec', '08P01', '16000 of one', pack('N N N N', 20000, 16000, 0, 0) ],
    [ 'sparsevec', '22P03', 'a value too many', sparsevec_bytes(5, [0], [ 1, 2 ]) ],
    [ 'sparsevec', '22000', 'no dimensions', sparsevec_bytes(0, [], []) ],
    [ 'sparsevec', '22000', 'a negative number of them', sparsevec_bytes(0xFFFFFFFF, [], []) ],
    [ 'sparsevec', '54000', '1000000001 dimensions', sparsevec_bytes(1_000_000_001, [], []) ],
    [ 'sparsevec', '22000', 'a negative number of elements', pack('N N N', 5, 0xFFFFFFFF, 0) ],
    [ 'sparsevec', '22000', 'the most negative',             pack('N N N', 5, 0x80000000, 0) ],
    [ 'sparsevec', '54000', 'more elements than dimensions', sparsevec_bytes(1, [ 0, 1 ], [ 1, 1 ]) ],
    [ 'sparsevec', '54000', '16001 elements', sparsevec_bytes(20000, [ 0 .. 16000 ], [ (1) x 16001 ]) ],
    [ 'sparsevec', '54000', '2^31 - 1 elements', pack('N N N', 1_000_000_000, 0x7FFFFFFF, 0) ],
    [ 'sparsevec', '22000', 'the unused bits', pack('N N N', 5, 0, 1) ],
    [ 'sparsevec', '22000', 'an index that is too large', sparsevec_bytes(5, [5], [1]) ],
    [ 'sparsevec', '22000', 'a negative index', sparsevec_bytes(5, [0xFFFFFFFF], [1]) ],
    [ 'sparsevec', '22000', 'indices that descend', sparsevec_bytes(5, [ 1, 0 ], [ 1, 1 ]) ],
    [ 'sparsevec', '22000', 'an index twice', sparsevec_bytes(5, [ 1, 1 ], [ 1, 1 ]) ],
    [ 'sparsevec', '22000', 'zero',        sparsevec_bytes(5, [ 0, 1 ], [ 1, 0 ]) ],
    [ 'sparsevec', '22000', 'minus zero',  pack('N N N N N', 5, 1, 0, 0, 0x80000000) ],
    [ 'sparsevec', '22000', 'NaN',         pack('N N N N', 5, 1, 0, 0) . $nan ],
    [ 'sparsevec', '22000', 'infinity',    pack('N N N N', 5, 1, 0, 0) . $inf ],
    [ 'sparsevec(3)', '22000', 'other dimensions than the column', sparsevec_bytes(4, [0], [1]) ],);

my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
for my $case (@bad)
{
    my ($type, $state, $what, $bytes) = @$case;
    is(receive_fails($type, $bytes), $state, "$type refuses $what: $state");
}

# Every good value cut short at every byte, and with one byte more: never a crash, never a value.
for my $case (@good)
{
    my ($type, $text, $bytes) = @$case;
    my $sql = "CREATE TEMP TABLE t (x $type);\n";
    for my $length (0 .. length($bytes) - 1)
    {
        spew("$scratch/cut$length", copy_file(substr $bytes, 0, $length));
        $sql .= "COPY t FROM '$scratch/cut$length' (FORMAT binary);\n";
    }
    spew("$scratch/more", copy_file("$bytes\0"));
    $sql .= "COPY t FROM '$scratch/more' (FORMAT binary);\nSELECT count(*) FROM t;\n";
    my ($stdout, $stderr) = session($node, 'wire', $sql);
    is($stdout, '0', "no part of $type $text is a value");
    my @states = $stderr =~ /ERROR:\s+(\w{5})/g;
    is_deeply([ grep { !/^(?:08P01|22P03)$/ } @states ], [], 'all are refused for their length');
    is(scalar @states, length($bytes) + 1, 'each of them');
}

# Bytes at random, of a fixed sequence, are a value or an error of ours, and nothing else.
my $seed = 20250101;
sub next_byte { $seed = ($seed * 1103515245 + 12345) & 0x7FFFFFFF; return ($seed >> 16) & 0xFF }
for my $type (qw(vector halfvec sparsevec))
{
    my $sql = "CREATE TEMP TABLE t (x $type);\n";
    for my $n (0 .. 199)
    {
        # small counts, so that some pass the header
        my $start = $type eq 'sparsevec' ? pack('N N N', $n % 4, $n % 3, 0) : pack('n n', $n % 4, 0);
        spew("$scratch/random$n", copy_file($start . pack 'C*', map { next_byte() } 1 .. next_byte() % 20));
        $sql .= "COPY t FROM '$scratch/random$n' (FORMAT binary);\n";
    }
    my ($stdout, $stderr) = session($node, 'wire', "${sql}SELECT count(*) = count(x::text::$type) FROM t;\n");
    is($stdout, 't', "$type: what came in can go out");
    is_deeply([ grep { !/^(?:08P01|22P03|22000|54000)$/ } $stderr =~ /ERROR:\s+(\w{5})/g ], [], 'the rest is refused properly');
}
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server has not restarted');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'nor has a backend died');

# ---------------------------------------------------------------- round trip of many values

$node->safe_psql('wire', q{
    CREATE TABLE a (id int, v vector, h halfvec, s sparsevec);
    INSERT INTO a SELECT n, array_agg(x ORDER BY i), array_agg(x ORDER BY i), array_agg(CASE WHEN i % 3 = 0 THEN x ELSE 0 END ORDER BY i)
        FROM generate_series(1, 300) n, generate_series(1, 1 + n % 77) i,
            LATERAL (SELECT (((hashint8extended(i, n) & 16777215) - 8388608) / 2.0 ^ (7 + i % 40))::real x) x GROUP BY n;
    INSERT INTO a SELECT 1000, array_agg(i), array_agg(i % 2000), array_agg(i % 2) FROM generate_series(1, 16000) i;
    CREATE TABLE b (LIKE a)});
$node->safe_psql('wire', "COPY a TO '$scratch/all' (FORMAT binary); COPY b FROM '$scratch/all' (FORMAT binary)");
is($node->safe_psql('wire', 'SELECT count(*) FROM b'), 301, 'all rows came over');
is($node->safe_psql('wire', 'SELECT count(*) FROM a FULL JOIN b USING (id) WHERE vector_send(a.v) IS DISTINCT FROM vector_send(b.v)
    OR halfvec_send(a.h) IS DISTINCT FROM halfvec_send(b.h) OR sparsevec_send(a.s) IS DISTINCT FROM sparsevec_send(b.s)'), 0, 'with the same bits');
$node->safe_psql('wire', "COPY b TO '$scratch/again' (FORMAT binary)");
ok(slurp_raw("$scratch/all") eq slurp_raw("$scratch/again"), 'and make the same file again');

$node->stop;
done_testing();
