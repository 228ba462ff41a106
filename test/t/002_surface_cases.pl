# Every row of pgvector's surface that is in scope, in use: test/compat/surface-cases.tsv.
#
# With OMENDB_CASES_EXTENSION=vector the same cases run against pgvector itself,
# which shows that what they expect is what its applications get (TESTS=pgvector).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;
use lib compat_dir();
use Surface qw(read_list read_differences split_scope row_name);

use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('cases');
my $extension = $ENV{OMENDB_CASES_EXTENSION} // 'omendb';
$node->safe_psql('postgres', 'CREATE DATABASE cases');
$node->safe_psql('cases', "CREATE EXTENSION $extension");
use_node($node, 'cases');
check_pgvector($node, 'cases') if $extension eq 'vector';

my @differences = read_differences(compat_dir() . '/differences.tsv');
my ($in) = split_scope(\@differences, read_list(compat_dir() . '/pgvector-surface.tsv'));
my %differs = map { ("$_->{row}[0] $_->{row}[1]" => 1) } grep { $_->{status} eq 'differs' } @differences;

# ---------------------------------------------------------------- the cases

my (@setup, @cases);
my $file = compat_dir() . '/surface-cases.tsv';
for my $line (split /\n/, slurp_file($file))
{
    next if $line =~ /^#/;
    my ($kind, $object, $which, $action, $expected, @more) = split /\t/, $line, -1;
    die "$file: expected 5 columns: $line\n" if @more or !defined $expected;
    my $own = $action =~ s/^omendb://;
    if ($kind eq 'setup') { push @setup, $action }
    else                  { push @cases, { kind => $kind, object => $object, which => $which, action => $action, expected => $expected, own => $own } }
}

# Every row has a case, every case a row.
my %has_case;
for my $case (@cases)
{
    my @of = grep { $_->[0] eq $case->{kind} && $_->[1] eq $case->{object} && index($_->[2], $case->{which}) == 0 } @$in;
    is(@of, 1, "a case is of one row: $case->{kind} $case->{object} $case->{which}") unless @of == 1;
    $has_case{ row_name($_) } = 1 for @of;
    ok($differs{"$case->{kind} $case->{object}"}, "what pgvector does otherwise is listed: $case->{action}") if $case->{own};
}
@cases = grep { !$_->{own} } @cases if $extension ne 'omendb';
is_deeply([ grep { !$has_case{$_} } map { row_name($_) } @$in ], [], 'every row in scope has a case');
cmp_ok(scalar @$in, '>=', 256, 'rows in scope');

# omendb searches an hnsw index by a plain index scan, or by a scan of its own.
@cases = map {
    my $case = $_;
    $extension eq 'omendb' && $case->{action} =~ /^index:/ && $case->{kind} eq 'opclass operator' && $case->{object} =~ /hnsw/
        ? ({ %$case, set => 'SET LOCAL hnsw.custom_scan = off;', plan => qr/Index Scan/ }, { %$case, set => 'SET LOCAL hnsw.scan_strategy = graph;', plan => qr/Custom Scan \(HnswScan\)/ })
        : ({ %$case, set => '', plan => qr/Index (?:Only )?Scan/ })
} @cases;

# ---------------------------------------------------------------- cases in Perl

my $scratch = scratch_dir();

# Values whose binary form is written by hand.
my %sample = (
    vector    => [ '[1,-2.5]',       pack('n n N N',           2, 0, 0x3F800000, 0xC0200000) ],
    halfvec   => [ '[1,-2.5]',       pack('n n n n',           2, 0, 0x3C00,     0xC100) ],
    sparsevec => [ '{2:1,5:-2.5}/7', pack('N N N N N N N',     7, 2, 0, 1, 4, 0x3F800000, 0xC0200000) ],);

# One field of a COPY BINARY file, after its header, flags and extension area.
my $signature = "PGCOPY\n\xFF\r\n\0" . pack('N N', 0, 0);

my %perl = (

    # The receive function: COPY FROM a file of the wire format.
    recv => sub {
        my ($type) = @_;
        my $path = "$scratch/recv_$type";
        open my $fh, '>:raw', $path or die "$path: $!";
        print {$fh} $signature, pack('n N', 1, length $sample{$type}[1]), $sample{$type}[1], pack('n', 0xFFFF);
        close $fh;
        return $node->safe_psql('cases', "CREATE TEMP TABLE t (x $type); COPY t FROM '$path' (FORMAT binary); SELECT x FROM t");
    },

    # The send function: the bytes of COPY TO.
    send => sub {
        my ($type) = @_;
        my $path = "$scratch/send_$type";
        $node->safe_psql('cases', "COPY (SELECT '$sample{$type}[0]'::$type) TO '$path' (FORMAT binary)");
        my $bytes = slurp_file_raw($path);
        my $body  = substr $bytes, length($signature) + 6, -2;
        return unpack 'H*', $body;
    },

    # Out of one table in binary, into another.
    round_trip => sub {
        my ($type) = @_;
        my $value = $type eq 'sparsevec' ? '{1:1,500:-2.5,1000000000:0.1}/1000000000' : $type eq 'vector' ? '[1,-2.5,0.1,3e38]' : '[1,-2.5,0.1,65504]';
        my $path = "$scratch/round_trip_$type";
        return $node->safe_psql('cases',
            "CREATE TEMP TABLE a (x $type); CREATE TEMP TABLE b (x $type); INSERT INTO a VALUES ('$value'), (NULL);
             COPY a TO '$path' (FORMAT binary); COPY b FROM '$path' (FORMAT binary); SELECT x FROM b WHERE x IS NOT NULL");
    },);

sub slurp_file_raw
{
    my ($path) = @_;
    open my $fh, '<:raw', $path or die "$path: $!";
    local $/;
    return <$fh>;
}

# ---------------------------------------------------------------- the run

$node->safe_psql('cases', join ";\n", @setup);

# All of SQL in one session, each case rolled back.
my $script = '';
for my $n (0 .. $#cases)
{
    my $action = $cases[$n]{action};
    next if $action =~ /^perl:/;
    my $explain = '';
    if ($action =~ s/^index://)
    {
        $explain = "$cases[$n]{set} SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; EXPLAIN (COSTS OFF) $action;\n";
    }
    $script .= "\\set LAST_ERROR_SQLSTATE 00000\nBEGIN;\n$explain\\echo <<$n>>\n$action;\n\\echo <<$n :LAST_ERROR_SQLSTATE>>\nROLLBACK;\n";
}
my ($output) = session($node, 'cases', $script);

for my $n (0 .. $#cases)
{
    my $case = $cases[$n];
    my $name = "$case->{kind} $case->{object} $case->{which}: $case->{action}";
    my $got;

    if ($case->{action} =~ /^perl:(\w+) (\w+)$/)
    {
        my $code = $perl{$1} or die "no function $1: $name\n";
        $got = eval { $code->($2) } // "failed: $@";
    }
    elsif ($output =~ /\A(.*?)^<<$n>>\n(.*?)^<<$n (\w+)>>$/ms)
    {
        my ($before, $state) = ($1, $3);
        ($got = $2) =~ s/\n\z//;
        $got = "ERROR $state" if $state ne '00000';
        if ($case->{action} =~ /^index:/)
        {
            my ($plan) = $before =~ /(?:\A|>>\n)((?:(?!<<).)*)\z/s;
            like($plan, $case->{plan}, "the plan uses an index: $case->{set} $name");
        }
    }
    else
    {
        $got = 'no output';
    }
    is($got, $case->{expected}, $name);
}

$node->stop;
done_testing();
