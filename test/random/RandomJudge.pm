# Runs the script of one seed with psql and compares the answers of its queries
# with those of their references.
#
# Where the graph search sees all rows (small tables), the answers have to be the
# same: a list's order keys place by place, and among rows of equal keys any of
# them, but each once. Where it does not: as many rows as there have to be, each
# of them one of the reference's, none twice, in order; and of the ten nearest
# nine found, on average over a seed.
package RandomJudge;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use IPC::Run ();
use Scalar::Util qw(looks_like_number);

our @EXPORT_OK = qw(run_case known_settings compare);

# Settings of hnsw. that the server has, each with 1. Asking the access method
# for a property defines them.
sub known_settings
{
    my ($out) = psql("SELECT pg_indexam_has_property(oid, 'can_order') FROM pg_am WHERE amname = 'hnsw' \\g /dev/null\nSELECT name FROM pg_settings WHERE name LIKE 'hnsw.%'");
    return map { $_ => 1 } grep { length } split /\n/, $out;
}

# What psql writes for a script: (stdout, stderr, exit status). Where to connect
# to stands in the environment.
sub psql
{
    my ($script) = @_;
    my $file = File::Temp->new(TMPDIR => 1);
    print $file $script;
    close $file;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-XAtq', '-f', $file->filename ], '<', \'', '>', \$out, '2>', \$err);
    return ($out, $err, $? >> 8);
}

# Runs a seed's queries: { failures => [ { query, problem } ], plans: how many of
# the queries that were explained had an ordered scan of an hnsw index, explained,
# recall: [found, wanted] of cut searches }. make_script: gives the script from
# the query of that number on.
sub run_case
{
    my ($case, $make_script) = @_;
    my %result = (failures => [], plans => 0, explained => 0, recall => [ 0, 0 ]);
    my %queries = map { $_->{number} => $_ } @{ $case->{queries} };
    my $from;
    while (1)
    {
        my ($out, $err, $status) = psql($make_script->($from));
        my ($setup, @blocks) = split /^#random query (?=\d)/m, $out;
        push @{ $result{failures} }, { problem => "the tables could not be made: $1" } if defined $setup && $setup =~ /^#random made ((?!00000).*)/m;
        my $last = 0;
        for my $block (@blocks)
        {
            my ($number) = $block =~ /^(\d+)/;
            my $query = $queries{$number};
            $last = $number;
            if ($block !~ /^#random end$/m) { push @{ $result{failures} }, { query => $query, problem => "the server or the session ended ($status): " . last_line($err), plan => plan_of($block) }; next }
            judge_block($query, $block, \%result);
        }
        last if $status == 0;
        if (!@blocks) { push @{ $result{failures} }, { problem => "psql ended with $status: " . last_line($err) }; last }
        # The server comes up again by itself; the tables are still there.
        await_server() or last;
        last if $last >= @{ $case->{queries} };
        $from = $last + 1;
    }
    my ($found, $wanted) = @{ $result{recall} };
    push @{ $result{failures} }, { problem => "recall: $found of $wanted nearest rows found" } if $wanted >= 30 && $found < 0.9 * $wanted;
    return \%result;
}

sub last_line { my ($text) = @_; return (split /\n/, $text)[-1] // '' }

sub await_server
{
    for (1 .. 60)
    {
        my ($out) = psql('SELECT 1');
        return 1 if $out eq "1\n";
        sleep 1;
    }
    return 0;
}

sub plan_of
{
    my ($block) = @_;
    return $block =~ /^#random plan\n(.*?)^#random test$/ms ? $1 : '';
}

sub judge_block
{
    my ($query, $block, $result) = @_;
    my $plan = plan_of($block);
    my ($test)      = $block =~ /^#random test\n(.*?)^#random reference$/ms;
    my ($reference) = $block =~ /^#random reference\n(.*?)^#random end$/ms;
    if ($plan ne '')
    {
        $result->{explained}++;
        $result->{plans}++ if $plan =~ /Order By: \(|Custom Scan \(HnswScan\)/;
    }
    my ($test_lines, $test_state) = answer($test);
    my ($all_lines, $state) = answer($reference);
    my $problem;
    if ($test_state ne $state) { $problem = "error under test: '$test_state', in the reference: '$state'" }
    elsif ($state eq '') { $problem = compare($query, $test_lines, $all_lines, $result) }
    push @{ $result->{failures} }, { query => $query, problem => $problem, plan => $plan } if defined $problem;
    return;
}

# Rows, and the first statement's error ('' where none): its SQLSTATE, for two
# plans may well say different things of one fault.
sub answer
{
    my ($text) = @_;
    my ($error, @lines) = ('');
    for my $line (split /\n/, $text)
    {
        if ($line =~ /^#random state (\S+)/) { $error = $1 if $1 ne '00000' && $error eq '' }
        else { push @lines, $line }
    }
    # One value, two ways to write it.
    s/(^|\|)-0(?=\||$)/${1}0/g for @lines;
    return (\@lines, $error);
}

# What is wrong with the lines under test; undef where nothing.
sub compare
{
    my ($query, $test, $all, $result) = @_;
    return compare_bags($query, $test, $all) if !$query->{keys} || !$query->{slice} && !$query->{moves};

    # The places of the list that are wanted.
    my $keys  = $query->{keys};
    my @key   = map { join '|', (split /\|/, $_, -1)[ 0 .. $keys - 1 ] } @$all;
    my ($offset, $length) = @{ $query->{slice} // [0] };
    my $end = @$all;
    if (defined $length && $offset + $length < $end)
    {
        $end = $offset + $length;
        if ($query->{ties}) { $end++ while $end > 0 && $end < @$all && $key[$end] eq $key[ $end - 1 ] }
    }
    my @places = $offset < $end ? ($offset .. $end - 1) : ();
    @places = moved($query->{moves}, @places) if $query->{moves};

    my $exact = $query->{exact} || !$query->{cut} && !defined $length && !$offset && !$query->{moves};
    # What ties are depends on the last row, which a narrow search may miss.
    return sprintf('%d rows, %d wanted', scalar @$test, scalar @places) if @$test != @places && ($exact || !$query->{ties} && !$query->{cut});
    my %left;
    $left{$_}++ for @$all;
    my (%at, $before);
    for my $i (0 .. $#$test)
    {
        my $line = $test->[$i];
        my $key = join '|', (split /\|/, $line, -1)[ 0 .. $keys - 1 ];
        my $place = $places[$i];
        return "row " . ($i + 1) . " is $line, its place has the keys $key[$place]" if $exact && $key ne $key[$place];
        my $known = defined $place ? $at{$place} : undef;
        if (defined $known)
        {
            return "row " . ($i + 1) . " is $line, and was $known before" if $known ne $line;
            next;
        }
        $at{$place} = $line if defined $place;
        return "row " . ($i + 1) . ", $line, is not one of the reference's, or comes again" if !$query->{cut} && !$left{$line}--;
        next if $query->{moves} && grep { $_->[0] eq 'back' } @{ $query->{moves} };
        return "row " . ($i + 1) . ", $line, comes after $before" if defined $before && key_order($before, $key) > 0;
        $before = $key;
    }
    if (!$exact && !$query->{cut} && $query->{ef} >= 100 && !$offset && defined $length && $length == 10 && @places == 10 && !$query->{moves})
    {
        my $furthest = $key[9];
        $result->{recall}[0] += grep { my $key = join '|', (split /\|/, $_, -1)[ 0 .. $keys - 1 ]; key_order($key, $furthest) <= 0 } @$test;
        $result->{recall}[1] += 10;
    }
    return;
}

# Without order.
sub compare_bags
{
    my ($query, $test, $all) = @_;
    # A part that a narrow search may choose otherwise: only some form is known.
    return if !$query->{exact} && $query->{cut};
    my ($left, $right) = (join("\n", sort @$test), join("\n", sort @$all));
    return if $left eq $right;
    my %count;
    $count{$_}++ for @$test;
    $count{$_}-- for @$all;
    my @more = grep { $count{$_} > 0 } sort keys %count;
    my @less = grep { $count{$_} < 0 } sort keys %count;
    return sprintf('%d rows too many%s, %d missing%s', scalar @more, (@more ? ", as $more[0]" : ''), scalar @less, (@less ? ", as $less[0]" : ''));
}

# The places that a cursor's moves show, of those of its query.
sub moved
{
    my ($moves, @places) = @_;
    my ($at, @shown) = (0);    # 0 before the first, 1 on it
    my $behind = @places + 1;
    for my $move (@$moves)
    {
        my ($what, $n) = @$move;
        $n = @places + 1 if $n eq 'ALL';
        for (1 .. $n)
        {
            if ($what eq 'back') { last if $at == 0; $at--; push @shown, $places[ $at - 1 ] if $at > 0 }
            else { last if $at == $behind; $at++; push @shown, $places[ $at - 1 ] if $what eq 'fetch' && $at < $behind }
        }
        # FETCH 0 shows the row that the cursor is on.
        push @shown, $places[ $at - 1 ] if $n eq '0' && $what ne 'move' && $at > 0 && $at < $behind;
    }
    return @shown;
}

# As a sort's ascending order: numbers, NaN, NULL, key by key.
sub key_order
{
    my @left  = split /\|/, $_[0], -1;
    my @right = split /\|/, $_[1], -1;
    for my $i (0 .. $#left)
    {
        my ($a, $b) = ($left[$i], $right[$i]);
        next if $a eq $b;
        my ($left_rank, $right_rank) = map { $_ eq 'NULL' ? 2 : $_ eq 'NaN' ? 1 : 0 } $a, $b;
        my $order = $left_rank <=> $right_rank || (looks_like_number($a) && looks_like_number($b) ? $a <=> $b : $a cmp $b);
        return $order if $order;
    }
    return 0;
}

1;
