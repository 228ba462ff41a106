# Damaged indexes. Bytes of the metapage and of records are changed in the file
# while the server is down, each in an index of its own. Whatever is done with such
# an index then works, or fails with index_corrupted. The server stays up, and no
# table grows.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;

use constant PAGE        => 8192;
use constant PAGE_HEADER => 24;
use constant HEADER      => 64;    # of a record
use constant META        => 168;
use constant CALIBRATION => 176;
use constant EDGES       => 8;     # of a node of level 0
use constant SLOT        => 64;    # of spanning records, whose inner slots a bitmap at the end of the page names
use constant SLOTS       => 127;
use constant INNER       => PAGE - 8 - 16;

# Kinds of indexes: column, value of the row n, operator class, operator, bytes of an own vector, rows equal to row 3.
my %kinds = (
    coded => [ 'vector(8)', q{(SELECT array_agg(((n * n + n * i * 37) % 1009 - 500) / 8.0 ORDER BY i) FROM generate_series(1, 8) i)::vector}, 'vector_l2_ops', '<->', 16, 60 ],
    plain => [ 'vector(8)', q{(SELECT array_agg(((n * n + n * i * 37) % 1009 - 500) / 8.0 ORDER BY i) FROM generate_series(1, 8) i)::vector}, 'vector_l1_ops', '<+>', 16, 60 ],
    bits  => [ 'bit(64)', q{(hashint8extended(n, 1))::bit(64)}, 'bit_hamming_ops', '<~>', 8, 60 ],
    # 300 rows: spanning records, with the own vector behind the edges
    sparse => [ 'sparsevec(1000)', q{(SELECT format('{%s}/1000', string_agg(format('%s:%s', i * 100 + 1 + n * (i + 3) % 97, 1 + n * i % 13), ',' ORDER BY i)) FROM generate_series(0, 7) i)::sparsevec}, 'sparsevec_l2_ops', '<->', 0, 600 ],);

my $node = start_node('damaged', "autovacuum = off\nfsync = off\nfull_page_writes = off\nmax_wal_size = 4GB\njit = off\n", { no_data_checksums => 1 });
my $db = 'damaged';
create_omendb($node, $db);

my %info;    # of each kind: hnsw_index_info, path, and bytes of the file
for my $kind (sort keys %kinds)
{
    my ($type, $value, $opclass, undef, undef, $equal) = @{ $kinds{$kind} };
    $node->safe_psql($db, qq{
        CREATE TABLE $kind (id int, v $type);
        INSERT INTO $kind SELECT n, $value FROM generate_series(1, 300) n;
        INSERT INTO $kind SELECT 1000 + i, v FROM $kind, generate_series(1, $equal) i WHERE id = 3;
        CREATE INDEX ${kind}_v ON $kind USING hnsw (v $opclass) WITH (m = 4, ef_construction = 40);
        CHECKPOINT});
    my @columns = qw(format_version records_per_page record_bytes levels overflow_records);
    @{ $info{$kind} }{@columns} = split /\|/, $node->safe_psql($db, 'SELECT ' . join(', ', @columns) . " FROM hnsw_index_info('${kind}_v')");
    $info{$kind}{file} = read_file($node->data_dir . '/' . $node->safe_psql($db, "SELECT pg_relation_filepath('${kind}_v')"));
    is($info{$kind}{format_version}, $kind eq 'sparse' ? 5 : 4, "$kind: the format that the offsets here are for");
    @{ $info{$kind} }{qw(records_per_page record_bytes)} = (SLOTS, SLOT) if $kind eq 'sparse';
    cmp_ok($info{$kind}{levels}, '>=', 2, "$kind: there are nodes above level 0");
    cmp_ok($info{$kind}{overflow_records}, '>=', 2, "$kind: and overflow records");
}

sub read_file
{
    my ($path) = @_;
    local $/;
    open my $in, '<:raw', $path or die "$path: $!";
    my $bytes = <$in>;
    close $in;
    return $bytes;
}

sub record_at
{
    my ($kind, $number) = @_;
    return PAGE * (1 + int($number / $info{$kind}{records_per_page})) + PAGE_HEADER + $number % $info{$kind}{records_per_page} * $info{$kind}{record_bytes};
}

# True for a slot within a record.
sub is_inner
{
    my ($kind, $number) = @_;
    my $block = 1 + int($number / $info{$kind}{records_per_page});
    return $kind eq 'sparse' && vec(substr($info{$kind}{file}, $block * PAGE + INNER, 16), $number % SLOTS, 1);
}

# The first record of a kind (1 node, 2 overflow) and level for which good() of its bytes is true.
sub find_record
{
    my ($kind, $record_kind, $level, $good) = @_;
    for my $number (0 .. (length($info{$kind}{file}) / PAGE - 1) * $info{$kind}{records_per_page} - 1)
    {
        my $record = substr $info{$kind}{file}, record_at($kind, $number), $info{$kind}{record_bytes};
        next if is_inner($kind, $number);
        return $number if ord($record) == $record_kind && ord(substr $record, 2) == $level && (!$good || $good->($record));
    }
    die "no record of kind $record_kind and level $level";
}

# What is done to each index: [ kind, description, offset in the file, new bytes, must it be noticed? ]
my @damages;

sub damage
{
    my ($kind, $what, $at, $bytes, $noticed) = @_;
    return if substr($info{$kind}{file}, $at, length $bytes) eq $bytes;
    push @damages, [ $kind, $what, $at, $bytes, $noticed ];
    return;
}

# Other bytes at all these places, one at a time: all bits of every other one, and
# one bit of those between.
sub flip
{
    my ($kind, $what, $at, $noticed, @offsets) = @_;
    for my $offset (@offsets)
    {
        for my $mask ($offset % 2 ? 0xff : 1 << ($offset % 8))
        {
            damage($kind, "$what, byte $offset ^ $mask", $at + $offset, chr(ord(substr $info{$kind}{file}, $at + $offset, 1) ^ $mask), $noticed);
        }
    }
    return;
}

# Offsets of the metapage's fields that change while the index is used: entry and its level.
my %changing = map { $_ => 1 } 20 .. 25;

# Damages of which the first error has to name that block.
my %told;
for my $kind (sort keys %kinds)
{
    my $whole = $kind eq 'coded';
    my $own   = $kinds{$kind}[4];
    my $sparse = $kind eq 'sparse';
    # Of a sparse index, whose file is the largest, what is as in the others is left to these.
    flip($kind, 'metapage', PAGE_HEADER, 1, grep { !$changing{$_} } $whole ? (0 .. META - 1) : $sparse ? (16 .. 19, 40 .. 43) : (8 .. 19));
    flip($kind, 'metapage', PAGE_HEADER, 0, sort { $a <=> $b } keys %changing) if !$sparse;
    flip($kind, 'calibration', PAGE_HEADER + META, 1, grep { $_ % 7 == 0 } 0 .. CALIBRATION - 1) if $whole;
    flip($kind, "metapage's special space", PAGE - 8, 0, 0 .. 7) if $whole;
    flip($kind, 'special space of a page', 2 * PAGE - 8, 0, 0 .. 7) if $whole;
    my $bytes   = $info{$kind}{record_bytes};
    my $chained = sub { unpack('L', substr $_[0], 12, 4) != 0xffffffff };
    my %at      = (
        'node'              => record_at($kind, find_record($kind, 1, 0, sub { !$chained->($_[0]) })),
        'node with a chain' => record_at($kind, find_record($kind, 1, 0, $chained)),
        'node above'        => record_at($kind, find_record($kind, 1, 1)),
        'overflow record'   => record_at($kind, find_record($kind, 2, 0)));
    for my $what (sort keys %at)
    {
        flip($kind, $what, $at{$what}, 0, $whole ? (0 .. HEADER + $own + 15, map { HEADER + $own + 15 + 7 * $_ } 1 .. ($bytes - HEADER - $own - 16) / 7) : grep { !$sparse || $_ % 4 == 0 } 0 .. 31);
        for my $field ([ down => 8 ], [ overflow => 12 ], [ error => 20 ], [ scale => 28 ], [ owner => HEADER + 4 ], [ edge => HEADER + $own ])
        {
            damage($kind, "$what, $field->[0] $_", $at{$what} + $field->[1], pack('L', $_), 0) for $whole ? (0, 1, 0x7fffffff, 0x80000001, 0xfffffffe, 0xffffffff) : (0, 0xfffffffe);
        }
    }
    for my $field ([ kind => 0, "\x03" ], [ flags => 0, "\x21" ], [ level => 2, "\x63" ], [ ntids => 3, "\x05" ], [ down => 8, pack 'L', 1 ], [ count => 16, pack 'C', 9 ],
        [ error => 20, pack 'f', -1 ], [ error => 20, pack 'L', 0x7fc00000 ], [ norm2 => 24, pack 'f', -1 ], [ norm2 => 24, pack 'L', 0x7fc00000 ],
        [ scale => 28, pack 'f', -1 ], [ scale => 28, pack 'L', 0x7f800000 ], [ scale => 28, pack 'L', 0x7fc00000 ],
        [ dead => 0, "\x11" ], [ ntids => 3, "\x00" ],
        [ tid => 40, "\xff" x 6 ], [ tid => 40, "\xff\xff\xfe\xff\x01\x00" ], [ tid => 40, pack 'SSS', 0, 4000, 1 ], [ tid => 44, "\0\0" ], [ tid => 44, "\xff\xff" ],
        [ edge => HEADER + $own, pack 'L', 0xffffffff ], [ edge => HEADER + $own, pack 'L', 0x70000000 ])
    {
        damage($kind, "node, impossible $field->[0] " . unpack('H*', $field->[2]), $at{node} + $field->[1], $field->[2], 1);
    }
    if ($sparse)
    {
        # The own vector: the number of elements, their indices, their values.
        my $vector = HEADER + 4 * EDGES;
        my $inner = int($at{node} / PAGE) * PAGE + INNER;
        damage($kind, "node, impossible number of elements $_", $at{node} + $vector, pack('L', $_), 1) for 2000, 0xffffffff;
        damage($kind, "node, other number of elements $_",      $at{node} + $vector, pack('L', $_), 0) for 0, 1, 7, 9, 200, 1000;
        damage($kind, "node, other index $_",                   $at{node} + $vector + 8, pack('L', $_), 0) for 0, 1, 1000, 0x7fffffff, 0xffffffff;
        damage($kind, 'node, one index twice',                  $at{node} + $vector + 8, substr($info{$kind}{file}, $at{node} + $vector + 4, 4), 0);
        flip($kind, 'node, own vector', $at{node}, 0, $vector .. $vector + 4 + 6 * 8 - 1);
        # Which slots are inner ones. A page without records is possible: hnsw_index_check alone finds edges that lead there.
        flip($kind, 'inner slots', $inner, 0, 0 .. 15);
        damage($kind, 'no slot is inner',  $inner, "\0" x 16,         1);
        damage($kind, 'all slots are',     $inner, "\xff" x 16,       0);
        damage($kind, 'all but the first', $inner, "\xfe" . "\xff" x 15, 0);
    }
    damage($kind, 'overflow record, too many heap TIDs', $at{'overflow record'} + HEADER, pack('L', 10_000), 1);
    damage($kind, 'overflow record, a heap TID beyond the table', $at{'overflow record'} + HEADER + 12, pack('SSS', 0, 4000, 1), 1);
    $told{$#damages} = int($at{'overflow record'} / PAGE);
    # A storage system that has lost a page.
    my $page = int($at{node} / PAGE);
    damage($kind, 'a page of zeros', $page * PAGE, "\0" x PAGE, 1);
    $told{$#damages} = $page;
    damage($kind, 'a chain without an end', $at{'overflow record'} + 12, pack('L', find_record($kind, 2, 0)), 1);
    damage($kind, "ef_construction $_", PAGE_HEADER + 12, pack('S', $_), 1) for 0, 65_535;
    damage($kind, 'entry point beyond the end', PAGE_HEADER + 20, pack('L', 0x70000000), 1);
    damage($kind, 'entry point of another level', PAGE_HEADER + 20, pack('L', find_record($kind, 1, 0)), 1);
}
push @damages, [ $_, 'no damage', 0, '', 0 ] for sort keys %kinds;

# The first page, or the whole file, of another index, as after a write to a wrong place. Each page is right by itself.
my %others = (
    'another metric'         => [ 'vector(8)',       $kinds{coded}[1],              'vector_cosine_ops' ],
    'another number of dimensions' => [ 'vector(9)', "($kinds{coded}[1]::real[] || 1::real)::vector", 'vector_l2_ops' ],
    (map { $_ => $kinds{$_} } keys %kinds));
for my $other (sort keys %others)
{
    my ($type, $value, $opclass) = @{ $others{$other} };
    if (!$info{$other})
    {
        $node->safe_psql($db, "CREATE TABLE other (id int, v $type); INSERT INTO other SELECT n, $value FROM generate_series(1, 300) n;
            CREATE INDEX other_v ON other USING hnsw (v $opclass) WITH (m = 4, ef_construction = 40); CHECKPOINT");
        $info{$other}{file} = read_file($node->data_dir . '/' . $node->safe_psql($db, q{SELECT pg_relation_filepath('other_v')}));
        $node->safe_psql($db, 'DROP TABLE other');
    }
    for my $kind (grep { $_ ne $other } sort keys %kinds)
    {
        next if $kind ne 'coded' && !$kinds{$other};
        for my $part ([ 'the metapage', PAGE ], [ 'all', length $info{$other}{file} ])
        {
            damage($kind, "$part->[0] of an index of $other", 0, substr($info{$other}{file}, 0, $part->[1]), 1);
            $told{$#damages} = 0;
        }
    }
}

# Not impossible, and yet no row may be missed: nodes without edges.
for my $kind (sort keys %kinds)
{
    my $file = $info{$kind}{file};
    for my $number (0 .. (length($file) / PAGE - 1) * $info{$kind}{records_per_page} - 1)
    {
        my $at = record_at($kind, $number);
        substr($file, $at + 16, 1) = "\0" if ord(substr $file, $at, 1) == 1 && !is_inner($kind, $number);
    }
    damage($kind, 'no edges', 0, $file, 0);
}

# Each node has an edge to itself.
for my $kind (sort keys %kinds)
{
    my $file = $info{$kind}{file};
    for my $number (0 .. (length($file) / PAGE - 1) * $info{$kind}{records_per_page} - 1)
    {
        my $at = record_at($kind, $number);
        substr($file, $at + HEADER + $kinds{$kind}[4], 4) = pack 'L', $number if ord(substr $file, $at, 1) == 1 && !is_inner($kind, $number) && ord(substr $file, $at + 16, 1) > 0;
    }
    damage($kind, 'edges to oneself', 0, $file, 0);
}

# A table and an index for each.
my $make = '';
for my $i (0 .. $#damages)
{
    my $kind = $damages[$i][0];
    $make .= "CREATE TABLE t$i AS TABLE $kind; CREATE INDEX i$i ON t$i USING hnsw (v $kinds{$kind}[2]) WITH (m = 4, ef_construction = 40);\n";
    $make .= "CHECKPOINT;\n" if $i == $#damages;
}
my ($out, $err) = session($node, $db, $make);
is($err, '', scalar(@damages) . ' indexes');
my %path = map { split /\|/ } split /\n/, $node->safe_psql($db, q{SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relname ~ '^i\d+$'});
$node->stop;
for my $i (0 .. $#damages)
{
    my (undef, undef, $at, $bytes) = @{ $damages[$i] };
    next if $bytes eq '';
    my $path = $node->data_dir . '/' . $path{"i$i"};
    open my $file, '+<:raw', $path or die "$path: $!";
    seek $file, $at, 0;
    print {$file} $bytes;
    close $file or die "$path: $!";
}
$node->start;

# Everything that reads or changes an index. What is written to stderr says which
# index it was about.
my $script = "\\set VERBOSITY verbose\nSET enable_seqscan = off; SET enable_sort = off; SET hnsw.scan_strategy = graph; SET statement_timeout = '60s';\n";
for my $i (0 .. $#damages)
{
    my ($kind) = @{ $damages[$i] };
    my (undef, $value, undef, $operator) = @{ $kinds{$kind} };
    my $of     = sub { "(SELECT v FROM $kind WHERE id = $_[0])" };
    my $search = "SELECT 'rows', $i, count(*) FROM (SELECT id FROM t$i ORDER BY v $operator " . $of->(3) . ' LIMIT 1000) s;';
    $script .= join "\n", "\\warn == $i",
        "SELECT 'size', $i, pg_relation_size('t$i');",
        "SET hnsw.custom_scan = off; $search", "SET hnsw.custom_scan = on; $search",
        "SELECT count(*) FROM hnsw_index_check('i$i', true);", "SELECT count(*) FROM hnsw_index_info('i$i');", "SELECT hnsw_recall('i$i', 3) IS NULL;",
        "SELECT 'size', $i, pg_relation_size('t$i');",
        "INSERT INTO t$i VALUES (2000, " . $of->(3) . "), (2001, " . $of->(3) . ");", "INSERT INTO t$i SELECT 2002, $value FROM generate_series(5000, 5000) n;",
        "DELETE FROM t$i WHERE id % 3 = 0 OR id > 1005;", "VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF) t$i;",
        "INSERT INTO t$i SELECT 2003, $value FROM generate_series(5001, 5001) n;", $search,
        "SELECT 'size', $i, pg_relation_size('t$i');", "\\warn == $i reindexed", "REINDEX INDEX i$i;", $search, '';
}
($out, $err) = session($node, $db, $script);

my (@said, @bad, $reindexed);
my $at = 0;
for my $line (split /\n/, $err)
{
    if ($line =~ /== (\d+)( reindexed)?$/) { ($at, $reindexed) = ($1, $2) }
    elsif ($reindexed)                     { push @bad, "$damages[$at][0]: $damages[$at][1], reindexed: $line" }
    else                                   { $said[$at] .= "$line\n" }
}
my (%sizes, %rows, @unnoticed);
push @{ $sizes{$1} }, $2 while $out =~ /^size\|(\d+)\|(\d+)$/mg;
push @{ $rows{$1} }, $2 while $out =~ /^rows\|(\d+)\|(\d+)$/mg;
for my $i (0 .. $#damages)
{
    my ($kind, $what, undef, undef, $noticed) = @{ $damages[$i] };
    my $said = $said[$i] // '';
    my @errors = split /^(?=psql:\S* (?:ERROR|FATAL|PANIC|WARNING):)/m, $said;
    for my $error (@errors)
    {
        push @bad, "$kind: $what: $error"
            unless $error =~ /ERROR:  XX002: index "i$i" contains a corrupted page at block \d+$/m && $error =~ /^HINT:  Please REINDEX it\.$/m;
    }
    push @bad, "$kind: $what: sizes " . join(' ', @{ $sizes{$i} // [] })
        unless @{ $sizes{$i} // [] } == 3 && $sizes{$i}[0] == $sizes{$i}[1] && $sizes{$i}[2] <= $sizes{$i}[0] + PAGE;
    push @unnoticed, "$kind: $what" if $noticed && !@errors;
    push @bad, "$kind: $what: not block $told{$i}: $errors[0]" if $told{$i} && @errors && $errors[0] !~ /at block $told{$i}$/m;
    # Of 300 rows 200 are left, of the equal ones 3, and one comes.
    my $all = 300 + $kinds{$kind}[5];
    push @bad, "$kind: $what: @{ $rows{$i} } rows, @errors" if $what =~ /^no (?:damage|edges)$/ && "@{ $rows{$i} }" ne "$all $all 204 204";
}
is(join("\n", @bad[ 0 .. ($#bad < 19 ? $#bad : 19) ]), '', 'a damaged index works, or the error is index_corrupted');
is(scalar @bad, 0, 'so of all of them');
is(join("\n", @unnoticed), '', 'what is impossible is noticed');
is($node->safe_psql($db, 'SELECT 1'), 1, 'the server is up');
unlike(slurp_log($node), qr/terminated by signal|PANIC|TRAP/, 'and was so all the time');

sub slurp_log
{
    my ($of) = @_;
    return read_file($of->logfile);
}

$node->stop;
done_testing();
