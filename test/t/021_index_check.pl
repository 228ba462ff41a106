# hnsw_index_check finds what is wrong: each kind of damage, done to the file of
# an index of its own while the server is down.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use Test::More;

use constant PAGE        => 8192;
use constant PAGE_HEADER => 24;
use constant HEADER      => 64;            # of a record
use constant NO_NODE     => 0xffffffff;
# Offsets in a record's header; see src/code/layout.h.
my %field = (
    # kind is the lower half of its byte, flags are the upper one
    kind   => [ 0,  'C', 0 ], flags => [ 0,  'C', 4 ], level => [ 2,  'C' ], ntids       => [ 3,  'C' ],
    down   => [ 8,  'L' ], overflow => [ 12, 'L' ], count    => [ 16, 'C' ], incarnation => [ 18, 'S' ],
    error  => [ 20, 'f' ], norm2    => [ 24, 'f' ], scale       => [ 28, 'f' ],
    # of what follows the header of an overflow record
    tids => [ HEADER, 'L' ], owner => [ HEADER + 4, 'L' ],
);
# In the metapage; see src/page/format.h.
my %meta_field = (magic => [ 0, 'L' ], entry => [ 20, 'L' ], entry_level => [ 24, 'S' ]);

my $node = start_node('check', "autovacuum = off\n", { no_data_checksums => 1 });
create_omendb($node, 'damage');

my $file;      # the bytes of the index that is being damaged
my %info;      # its hnsw_index_info

sub record_at
{
    my ($number) = @_;
    return PAGE * (1 + int($number / $info{records_per_page})) + PAGE_HEADER + $number % $info{records_per_page} * $info{record_bytes};
}

sub slurp_binary
{
    my ($name) = @_;
    open my $in, '<:raw', $name or die "$name: $!";
    local $/;
    my $bytes = <$in>;
    close $in;
    return $bytes;
}

sub get
{
    my ($number, $name) = @_;
    my ($offset, $type, $shift) = @{ $field{$name} };
    my $value = unpack $type, substr $file, record_at($number) + $offset, length pack $type, 0;
    return defined $shift ? $value >> $shift & 15 : $value;
}

sub set
{
    my ($number, $name, $value) = @_;
    my ($offset, $type, $shift) = @{ $field{$name} };
    $value = ord(substr $file, record_at($number) + $offset, 1) & ~(15 << $shift) | $value << $shift if defined $shift;
    my $bytes = pack $type, $value;
    substr($file, record_at($number) + $offset, length $bytes) = $bytes;
    return;
}

sub set_meta
{
    my ($name, $value) = @_;
    my ($offset, $type) = @{ $meta_field{$name} };
    my $bytes = pack $type, $value;
    substr($file, PAGE_HEADER + $offset, length $bytes) = $bytes;
    return;
}

# Where the parts of a record begin, after int16 of 8 dimensions.
sub edges_at  { return HEADER + 2 * 8 }
sub codes_at  { return edges_at() + 4 * 2 * $info{m} }
sub slopes_at { return codes_at() + 2 * $info{m} * $info{code_bits} / 8 }
sub shifts_at { return slopes_at() + 2 * $info{m} }

sub get_edge
{
    my ($number, $slot) = @_;
    return unpack 'L', substr $file, record_at($number) + edges_at() + 4 * $slot, 4;
}

sub set_edge
{
    my ($number, $slot, $value) = @_;
    substr($file, record_at($number) + edges_at() + 4 * $slot, 4) = pack 'L', $value;
    return;
}

sub flip
{
    my ($number, $offset, $mask) = @_;
    my $at = record_at($number) + $offset;
    substr($file, $at, 1) = chr(ord(substr $file, $at, 1) ^ $mask);
    return;
}

sub records { return int((length($file) / PAGE - 1) * $info{records_per_page}) }

# The first record from a number on, of that kind and level.
sub find
{
    my ($from, $kind, $level) = @_;
    for my $number ($from .. records() - 1)
    {
        return $number if get($number, 'kind') == $kind and get($number, 'level') == $level;
    }
    die "no record of kind $kind and level $level";
}

# Take away all edges to a node.
sub forget
{
    my ($node) = @_;
    for my $number (0 .. records() - 1)
    {
        next unless get($number, 'kind') == 1;
        my @kept = grep { $_ != $node } map { get_edge($number, $_) } 0 .. get($number, 'count') - 1;
        set_edge($number, $_, $kept[$_]) for 0 .. $#kept;
        set($number, 'count', scalar @kept);
    }
    return;
}

# name => [ what to do to $file, what must be said, heap_check? ]
my @damages = (
    edge_beyond    => [ sub { set_edge(5, 1, 0x70000000) }, qr/^\d+\|5\|edge 1 leads beyond the end of the index, to 1879048192$/m ],
    edge_self      => [ sub { set_edge(5, 1, 5) }, qr/^\d+\|5\|edge 1 leads to the node itself$/m ],
    edge_twice     => [ sub { set_edge(5, 1, get_edge(5, 0)) }, qr/^\d+\|5\|edges 0 and 1 both lead to node \d+$/m ],
    edge_free      => [ sub { set(get_edge(5, 1), 'kind', 0) }, qr/^\d+\|5\|an edge leads to record \d+, which is free$/m ],
    edge_level     => [ sub { set_edge(5, 1, find(0, 1, 1)) }, qr/^\d+\|5\|an edge leads to record \d+, which is of another level$/m ],
    edge_overflow  => [ sub { set_edge(5, 1, find(0, 2, 0)) }, qr/^\d+\|5\|an edge leads to record \d+, which is an overflow record$/m ],
    # as where a slot was reused
    edge_stale     => [ sub { set_edge(5, 1, get_edge(get_edge(5, 7), 7)) }, qr/^\d+\|5\|the code of edge 1, to node \d+, differs in \d+ groups from that of the vectors: stale$/m ],
    many_edges     => [ sub { set(5, 'count', 9) }, qr/^\d+\|5\|9 edges, more than the 8 of its level$/m ],
    many_above     => [ sub { set(find(0, 1, 1), 'count', 5) }, qr/\|5 edges, more than the 4 of its level$/m ],
    code           => [ sub { flip(5, codes_at() + 3, 0xff) }, qr/^\d+\|5\|the code of edge 0, to node \d+, differs in 2 groups/m ],
    slope          => [ sub { flip(5, slopes_at() + 2, 0x40) }, qr/^\d+\|5\|the slope of edge 2, to node \d+, is \S+ where the vectors give \S+$/m ],
    shift          => [ sub { flip(5, shifts_at() + 1, 0x10) }, qr/^\d+\|5\|the shift of edge 1, to node \d+, is \S+ where the vectors give \S+$/m ],
    slope_exponent => [ sub { flip(5, 1, 0x02) }, qr/^\d+\|5\|the slope of edge 0, to node \d+, is \S+ where the vectors give \S+$/m ],
    shift_exponent => [ sub { flip(5, 17, 0x02) }, qr/^\d+\|5\|the shift of edge \d, to node \d+, is \S+ where the vectors give \S+$/m ],
    own            => [ sub { flip(5, HEADER + 3, 0x18) }, qr/^\d+\|5\|its heap TID \(0,\d+\) is of a row with another vector$/m, 1 ],
    own_stale      => [ sub { flip(5, HEADER + 3, 0x18) }, qr/stale$/m ],
    own_infinite   => [ sub { set(5, 'scale', 3e38) }, qr/^\d+\|5\|the own vector is not finite$/m ],
    norm           => [ sub { set(5, 'norm2', 1) }, qr/^\d+\|5\|its squared length is kept as 1, but is \d/m ],
    scale          => [ sub { set(5, 'scale', 0) }, qr/^\d+\|5\|impossible scale of the own vector: 0$/m ],
    error_bound    => [ sub { set(5, 'error', -1) }, qr/^\d+\|5\|impossible error of the own vector: -1$/m ],
    kind           => [ sub { set(5, 'kind', 7) }, qr/^\d+\|5\|unknown kind of record: 7$/m ],
    level          => [ sub { set(5, 'level', 77) }, qr/^\d+\|5\|impossible level 77$/m ],
    flags          => [ sub { set(5, 'flags', 10) }, qr/^\d+\|5\|unknown flags 0x0a$/m ],
    dead           => [ sub { set(5, 'flags', 1) }, qr/^\d+\|5\|heap TIDs, but marked as dead$/m ],
    no_tids        => [ sub { set(5, 'ntids', 0) }, qr/^\d+\|5\|no heap TIDs, but not marked as dead$/m ],
    many_tids      => [ sub { set(5, 'ntids', 9) }, qr/^\d+\|5\|9 heap TIDs where 4 fit$/m ],
    tid_invalid    => [ sub { substr($file, record_at(5) + 40, 6) = "\xff" x 6 }, qr/^\d+\|5\|invalid heap TID \(4294967295,32767\)$/m ],
    tid_same       => [ sub { substr($file, record_at(5) + 40, 6) = substr $file, record_at(6) + 40, 6 }, qr/^\d+\|6\|its heap TID \(0,\d+\) is that of node 5, too$/m ],
    tid_no_row     => [ sub { substr($file, record_at(5) + 40, 6) = pack 'SSS', 0, 0, 250 }, qr/^\d+\|5\|its heap TID \(0,250\) is of no row$/m, 1 ],
    tid_no_block   => [ sub { substr($file, record_at(5) + 40, 6) = pack 'SSS', 0, 999, 1 }, qr/^\d+\|5\|its heap TID \(999,1\) is of no row$/m, 1 ],
    tid_missing    => [ sub { substr($file, record_at(5) + 40, 6) = pack 'SSS', 0, 0, 250 }, qr/^\|\|the table's row \(0,\d+\) is not in the index$/m, 1 ],
    tid_marked     => [ sub { flip(5, 45, 0x80) }, qr/^\d+\|5\|its heap TID \(\d+,\d+\) is marked as a dead row's, but the row lives$/m, 1 ],
    tid_null       => [ sub { substr($file, record_at(5) + 40, 6) = pack 'SSS', 0, 0, 1 }, qr/^\d+\|5\|its heap TID \(0,1\) is of a row that has no vector to index$/m, 1 ],
    freed          => [ sub { set(5, 'kind', 0) }, qr/^\|\|the table's row \(0,\d+\) is not in the index$/m, 1 ],
    down_beyond    => [ sub { set(find(0, 1, 1), 'down', 0x70000000) }, qr/the pointer down leads beyond the end of the index$/m ],
    down_free      => [ sub { set(get(find(0, 1, 1), 'down'), 'kind', 0) }, qr/the pointer down leads to record \d+, which is free$/m ],
    down_vector    => [ sub { set(find(0, 1, 1), 'down', 5) }, qr/the pointer down leads to node 5, which has another vector$/m ],
    down_twice     => [ sub { my $first = find(0, 1, 1); set(find($first + 1, 1, 1), 'down', get($first, 'down')) }, qr/the pointer down leads to node \d+, as that of another node does$/m ],
    down_bottom    => [ sub { set(5, 'down', 6) }, qr/^\d+\|5\|a pointer down, to 6, on level 0$/m ],
    tids_above     => [ sub { set(find(0, 1, 1), 'ntids', 1) }, qr/heap TIDs on level 1$/m ],
    entry_level    => [ sub { set_meta('entry', 5) }, qr/^0\|\|the entry point, record 5, is no node of level [1-9]$/m ],
    entry_low      => [ sub { set_meta('entry', 5); set_meta('entry_level', 0) }, qr/^0\|\|the entry point, node 5, is of level 0, but there are nodes of level [1-9]$/m ],
    entry_beyond   => [ sub { set_meta('entry', 0x70000000) }, qr/^0\|\|the entry point, record 1879048192, is no node/m ],
    entry_none     => [ sub { set_meta('entry', NO_NODE) }, qr/^\d+\|5\|not reached from the entry point, on level 0$/m ],
    unreached      => [ sub { forget(5) }, qr/^\d+\|5\|not reached from the entry point, on level 0$/m ],
    # a vacuum that was interrupted leaves such a one
    dead_free      => [ sub { forget(5); set(5, 'flags', 1); set(5, 'ntids', 0); set_edge(5, 1, find(0, 0, 0)) }, qr/^\d+\|5\|an edge leads to record \d+, which is free$/m ],
    chain_owner    => [ sub { set(find(0, 2, 0), 'owner', 5) }, qr/its chain leads to overflow record \d+, which is of node 5$/m ],
    chain_orphan   => [ sub { my $first = find(0, 2, 0); set(get($first, 'owner'), 'overflow', NO_NODE) }, qr/an overflow record of no node \(it names node \d+\)$/m ],
    chain_circle   => [ sub { my $first = find(0, 2, 0); set($first, 'overflow', $first) }, qr/its chain comes to overflow record \d+ twice$/m ],
    chain_node     => [ sub { set(find(0, 2, 0), 'overflow', 5) }, qr/its chain leads to record 5, which is no overflow record$/m ],
    chain_empty    => [ sub { set(find(0, 2, 0), 'tids', 0) }, qr/0 heap TIDs in an overflow record, which has 1 to \d+$/m ],
    chain_full     => [ sub { set(find(0, 2, 0), 'tids', 10_000) }, qr/10000 heap TIDs in an overflow record, which has 1 to \d+$/m ],
    page_id        => [ sub { substr($file, PAGE * 2 - 2, 2) = "\0\0" }, qr/^1\|\|this is no page of an omendb index$/m ],
    page_kind      => [ sub { substr($file, PAGE * 2 - 8, 2) = pack 'S', 1 }, qr/^1\|\|the page is of another kind than its place says$/m ],
    page_lower     => [ sub { substr($file, PAGE + 12, 2) = pack 'S', 24 }, qr/^1\|\|the page's header says that part of it is unused$/m ],
    page_size      => [ sub { substr($file, PAGE + 18, 2) = pack 'S', 0x1004 }, qr/^1\|\|the page's header has a wrong size or version$/m ],
    # what a crash may leave of extending the file is no problem by itself
    page_zero      => [ sub { $file .= "\0" x PAGE }, qr/^$/ ],
    page_lost      => [ sub { substr($file, PAGE, PAGE) = "\0" x PAGE }, qr/an edge leads to record \d+, which is free$/m ],
    undamaged      => [ sub { }, qr/^$/, 1 ],
);

$node->safe_psql('damage', q{
    CREATE TABLE t (id int, v vector(8)) WITH (autovacuum_enabled = off);
    INSERT INTO t VALUES (0, NULL);
    INSERT INTO t SELECT n, array_agg(((n * n + n * i * 37) % 1009 - 500) / 8.0 ORDER BY i) FROM generate_series(1, 600) n, generate_series(1, 8) i GROUP BY n;
    INSERT INTO t SELECT 1000 + n, v FROM t, generate_series(1, 40) n WHERE id = 3});
my @names = map { $damages[ 2 * $_ ] } 0 .. $#damages / 2;
my %damage = @damages;
$node->safe_psql('damage', join '', map { "CREATE INDEX $_ ON t USING hnsw (v vector_l2_ops) WITH (m = 4, ef_construction = 40);\n" } @names, 'magic', 'standby');
my @columns = qw(m records_per_page record_bytes code_bits levels overflow_records);
@info{@columns} = split /\|/, $node->safe_psql('damage', 'SELECT ' . join(', ', @columns) . " FROM hnsw_index_info('undamaged')");
cmp_ok($info{levels}, '>=', 2, 'there are nodes above level 0');
cmp_ok($info{overflow_records}, '>=', 1, 'and overflow records');
is($info{code_bits}, 64, 'and codes of the length that the offsets here are for');

my %path = map { $_ => $node->data_dir . '/' . $node->safe_psql('damage', "SELECT pg_relation_filepath('$_')") } @names, 'magic';
$node->stop;
my $tid;    # of node 5
for my $name (@names, 'magic')
{
    $file = slurp_binary($path{$name});
    $tid = sprintf '(%u,%u)', (unpack 'SSS', substr $file, record_at(5) + 40, 6)[1, 2] if $name eq 'undamaged';
    if ($name eq 'magic') { set_meta('magic', 1) }
    else                  { $damage{$name}[0]->() }
    open my $out, '>:raw', $path{$name} or die "$path{$name}: $!";
    print {$out} $file;
    close $out or die "$path{$name}: $!";
}
$node->start;

for my $name (@names)
{
    my (undef, $expected, $heap) = @{ $damage{$name} };
    my $said = $node->safe_psql('damage', "SELECT block, node, problem FROM hnsw_index_check('$name', " . ($heap ? 'true' : 'false') . ')');
    like($said, $expected, $name);
}
# An error where rows may be lost, a notice where not: above level 0, of dead nodes, of rows that nobody can see.
sub severity
{
    my ($name, $problem) = @_;
    return $node->safe_psql('damage', "SELECT DISTINCT severity FROM hnsw_index_check('$name') WHERE problem ~ '$problem' AND coalesce(node, 5) = 5");
}
is(severity('edge_free', 'an edge leads to record'), 'error', 'an edge of a live node to a free record is an error');
is(severity('dead_free', 'an edge leads to record'), 'notice', 'one of a dead node is not');
is(severity('entry_low', 'the entry point, node'), 'notice', 'nor is an entry point lower than a node');
is($node->safe_psql('damage', "SELECT DISTINCT severity FROM hnsw_index_check('entry_low') WHERE problem ~ 'not reached from the entry point, on level [1-9]'"), 'notice', 'nor a node above level 0 that is not reached');
is(severity('unreached', 'not reached'), 'error', 'one of level 0 is an error');
$node->safe_psql('damage', "BEGIN; DELETE FROM t WHERE ctid = '$tid'; ROLLBACK");
is(severity('unreached', 'not reached'), 'error', 'also where its row was to be deleted');
$node->safe_psql('damage', "DELETE FROM t WHERE ctid = '$tid'");
is(severity('unreached', 'not reached'), 'notice', 'not where the row is dead');
is(sqlstate($node, 'damage', "SELECT * FROM hnsw_index_check('magic')"), 'XX002', 'a metapage of something else: index_corrupted');
is(sqlstate($node, 'damage', "SELECT * FROM hnsw_index_info('page_id')"), 'XX002', 'so is a page, to hnsw_index_info');

# ---------------------------------------------------------------- sparse vectors

# The own vector: the number of elements, their indices, their values in 16 bits.
my $elements = sub { return unpack 'L', substr $file, record_at(5) + HEADER, 4 };
my $at_index = sub { return record_at(5) + HEADER + 4 + 4 * $_[0] };
my $at_value = sub { return $at_index->($elements->()) + 2 * $_[0] };
my $put      = sub { my ($at, $bytes) = @_; substr($file, $at, length $bytes) = $bytes; return };
my @sparse   = (
    sparse_many     => [ sub { $put->(record_at(5) + HEADER, pack 'L', 5000) }, qr/^\d+\|5\|more elements of the own vector than fit$/m ],
    sparse_index    => [ sub { $put->($at_index->(2), pack 'L', 1000) }, qr/^\d+\|5\|the own vector's element 2 has an impossible index, 1000$/m ],
    sparse_twice    => [ sub { $put->($at_index->(2), substr $file, $at_index->(1), 4) }, qr/^\d+\|5\|the own vector's element 2 has an impossible index, \d+$/m ],
    sparse_order    => [ sub { $put->($at_index->(2), pack 'L', 0) }, qr/^\d+\|5\|the own vector's element 2 has an impossible index, 0$/m ],
    sparse_zero     => [ sub { $put->($at_value->(3), "\0\0") }, qr/^\d+\|5\|the own vector's element 3 is 0$/m ],
    sparse_behind   => [ sub { $put->($at_value->($elements->()), "\x01") }, qr/^\d+\|5\|bytes behind the own vector are set$/m ],
    sparse_norm     => [ sub { set(5, 'norm2', 1) }, qr/^\d+\|5\|its squared length is kept as 1, but is \d/m ],
    sparse_scale    => [ sub { set(5, 'scale', 0) }, qr/^\d+\|5\|impossible scale of the own vector: 0$/m ],
    sparse_other    => [ sub { $put->($at_index->(0), pack 'L', unpack('L', substr $file, $at_index->(0), 4) + 1) }, qr/^\d+\|5\|its heap TID \(\d+,\d+\) is of a row with another vector$/m, 1 ],
    sparse_tid      => [ sub { substr($file, record_at(5) + 40, 6) = pack 'SSS', 0, 0, 250 }, qr/^\|\|the table's row \(\d+,\d+\) is not in the index$/m, 1 ],
    sparse_edge     => [ sub { set(5, 'count', 9) }, qr/^\d+\|5\|9 edges, more than the 8 of its level$/m ],
    sparse_free     => [ sub { set(5, 'kind', 0) }, qr/an edge leads to record 5, which is free$/m ],
    sparse_chain    => [ sub { set(find(0, 2, 0), 'owner', 5) }, qr/its chain leads to overflow record \d+, which is of node 5$/m ],
    sparse_whole    => [ sub { }, qr/^$/, 1 ],);
my @sparse_names = map { $sparse[ 2 * $_ ] } 0 .. $#sparse / 2;
my %sparse       = @sparse;
$node->safe_psql('damage', q{
    CREATE TABLE s (id int, v sparsevec(1000)) WITH (autovacuum_enabled = off);
    INSERT INTO s SELECT n, (SELECT format('{%s}/1000', string_agg(format('%s:%s', i * 100 + 1 + n * (i + 3) % 97, 1 + n * i % 13), ',' ORDER BY i)) FROM generate_series(0, 7) i)::sparsevec FROM generate_series(1, 1200) n;
    INSERT INTO s SELECT 2000 + n, v FROM s, generate_series(1, 40) n WHERE id = 3;
} . join '', map { "CREATE INDEX $_ ON s USING hnsw (v sparsevec_l2_ops) WITH (m = 4, ef_construction = 40);\n" } @sparse_names);
@info{@columns} = split /\|/, $node->safe_psql('damage', 'SELECT ' . join(', ', @columns) . " FROM hnsw_index_info('sparse_whole')");
%path = map { $_ => $node->data_dir . '/' . $node->safe_psql('damage', "SELECT pg_relation_filepath('$_')") } @sparse_names;
$node->stop;
for my $name (@sparse_names)
{
    $file = slurp_binary($path{$name});
    $sparse{$name}[0]->();
    open my $out, '>:raw', $path{$name} or die "$path{$name}: $!";
    print {$out} $file;
    close $out or die "$path{$name}: $!";
}
$node->start;
for my $name (@sparse_names)
{
    my (undef, $expected, $heap) = @{ $sparse{$name} };
    like($node->safe_psql('damage', "SELECT block, node, problem FROM hnsw_index_check('$name', " . ($heap ? 'true' : 'false') . ')'), $expected, $name);
}

# ---------------------------------------------------------------- spanning records

# Of 10 rows, 3 slots each. A bitmap behind the slots says which of them are within a record.
my $inner = 2 * PAGE - 8 - 16;
my @spans = (
    span_unmarked => [ sub { vec($file, 8 * $inner + 1, 1) = 0 }, qr/^1\|0\|the record's slot 1 is not marked as inner$/m ],
    span_behind   => [ sub { vec($file, 8 * $inner + $_, 1) = 1 for 0 .. 126 }, qr/^1\|0\|the page's first slot is marked as inner$/m ],
    span_longer   => [ sub { $put->(PAGE + PAGE_HEADER + 64 + 32, pack 'L', 20) }, qr/^1\|0\|the record's slot \d is not marked as inner$/m ],
    span_shorter  => [ sub { $put->(PAGE + PAGE_HEADER + 64 + 32, pack 'L', 1) }, qr/^1\|0\|the slot behind the record's last is marked as inner$/m ],
    span_beyond   => [ sub { $put->(PAGE + PAGE_HEADER + 126 * 64, "\x01") }, qr/^1\|126\|the record ends beyond its page$/m ],
    span_lost     => [ sub { vec($file, 8 * $inner, 1) = 1 }, qr/record 0, which is part of another record$/m ],
    span_whole    => [ sub { }, qr/^$/, 1 ],);
my @span_names = map { $spans[ 2 * $_ ] } 0 .. $#spans / 2;
my %spans      = @spans;
$node->safe_psql('damage', q{
    CREATE TABLE few (id int, v sparsevec(1000)) WITH (autovacuum_enabled = off);
    INSERT INTO few SELECT n, (SELECT format('{%s}/1000', string_agg(format('%s:%s', i * 10 + n, 1 + n * i % 13), ',' ORDER BY i)) FROM generate_series(0, 10) i)::sparsevec FROM generate_series(1, 10) n;
} . join '', map { "CREATE INDEX $_ ON few USING hnsw (v sparsevec_l2_ops) WITH (m = 4, ef_construction = 40);\n" } @span_names);
%path = map { $_ => $node->data_dir . '/' . $node->safe_psql('damage', "SELECT pg_relation_filepath('$_')") } @span_names;
$node->stop;
for my $name (@span_names)
{
    $file = slurp_binary($path{$name});
    $spans{$name}[0]->();
    open my $out, '>:raw', $path{$name} or die "$path{$name}: $!";
    print {$out} $file;
    close $out or die "$path{$name}: $!";
}
$node->start;
for my $name (@span_names)
{
    my (undef, $expected, $heap) = @{ $spans{$name} };
    like($node->safe_psql('damage', "SELECT block, node, problem FROM hnsw_index_check('$name', " . ($heap ? 'true' : 'false') . ')'), $expected, $name);
}

# ---------------------------------------------------------------- locks

my $writer = $node->background_psql('damage', on_error_stop => 0);
$writer->query_safe('BEGIN; INSERT INTO t VALUES (-1, NULL)');
is(sqlstate($node, 'damage', "SET lock_timeout = '100ms'; SELECT * FROM hnsw_index_check('undamaged')"), '55P03', 'a check waits for writers');
is($node->safe_psql('damage', "SET lock_timeout = '100ms'; SELECT nodes > 0 FROM hnsw_index_info('undamaged')"), 't', 'hnsw_index_info does not');
is($node->safe_psql('damage', "SET lock_timeout = '100ms'; SELECT hnsw_recall('undamaged', 3) > 0.5"), 't', 'nor does hnsw_recall');
$writer->query_safe('ROLLBACK; CREATE TEMP TABLE mine (v vector(2)); CREATE INDEX mine_v ON mine USING hnsw (v vector_l2_ops)');
my $mine = $node->safe_psql('damage', "SELECT oid FROM pg_class WHERE relname = 'mine_v'");
is(sqlstate($node, 'damage', "SELECT hnsw_index_info($mine)"), '0A000', "another session's temporary table");
$writer->quit;

# Rows that moved within their page: an old snapshot may see what a younger index has not.
$node->safe_psql('damage', "CREATE TABLE moved AS SELECT 1 AS id, '[1,2]'::vector(2) AS v");
my $old = $node->background_psql('damage', on_error_stop => 0);
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM moved');
$node->safe_psql('damage', "UPDATE moved SET v = '[2,2]'; CREATE INDEX young ON moved USING hnsw (v vector_l2_ops)");
is($node->safe_psql('damage', "SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'young'::regclass"), 't', 'an index not for all snapshots');
$old->query("SELECT hnsw_recall('young', 3)");
like($old->{stderr}, qr/is too new for this transaction's snapshot/, 'which hnsw_recall respects');
$old->quit;
is($node->safe_psql('damage', "SELECT * FROM hnsw_index_check('young', true)"), '', 'the row as it is now is right');

done_testing();
