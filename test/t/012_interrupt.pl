# `make demo`, interrupted while its server runs, leaves no process, no file and
# no shared memory behind. `make check` starts and ends its servers by the same tools/in-private,
# and so does lib/serve, for what needs no build.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use File::Temp ();
use POSIX qw(:sys_wait_h setsid);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

# Seconds to wait for what takes a few, and for a build, which takes what the
# machine needs for it.
my $patience       = 180;
my $build_patience = 900;

# Processes that run or work below a directory.
sub processes_below
{
    my ($dir) = @_;
    my @found;
    for my $link (glob '/proc/[0-9]*/exe /proc/[0-9]*/cwd')
    {
        my $target = readlink $link or next;
        push @found, "$link -> $target" if index($target, "$dir/") == 0;
    }
    return @found;
}

# The shared memory of these processes that would outlive them: files, and
# numbers of System V segments.
sub segments_below
{
    my ($dir) = @_;
    my %found;
    for my $pid (unique_pids(processes_below($dir)))
    {
        open my $maps, '<', "/proc/$pid/maps" or next;
        for (<$maps>)
        {
            $found{$1} = 1 if m{(/dev/shm/PostgreSQL\.\d+)};
            $found{$1} = 1 if m{ (\d+) +/SYSV};
        }
    }
    return sort keys %found;
}

sub unique_pids
{
    my %pids = map { m{^/proc/(\d+)/} ? ($1 => 1) : () } @_;
    return keys %pids;
}

# Those of them that are still there.
sub remaining
{
    my %system_v = map { (split)[1] => 1 } split /\n/, slurp_file('/proc/sysvipc/shm');
    return grep { m{^/} ? -e : $system_v{$_} } @_;
}

# What a pattern matches, of patterns with a space between them.
sub files
{
    my ($patterns) = @_;
    return my @matching = glob $patterns;
}

# The number in the file of the server that works below a directory, negative of
# one without a postmaster; undef as long as there is none, or it is not ready.
sub server_pid
{
    my ($dir) = @_;
    my ($file) = files("$dir/omendb.*/data/postmaster.pid") or return;
    # It may be gone by now, for initdb starts several.
    open my $in, '<', $file or return;
    my ($pid, @rest) = <$in>;
    return undef if !defined $pid || $pid !~ /^-?\d+$/;
    return $pid < 0 || grep({ /^ready/ } @rest) ? $pid + 0 : undef;
}

# True as soon as the code is, false if that takes too long.
sub wait_until
{
    my ($code, $seconds) = @_;
    for (1 .. ($seconds // $patience) * 10)
    {
        return 1 if $code->();
        sleep 0.1;
    }
    return 0;
}

my @demo  = ('demo');
my @serve = ('-f', '/dev/null', '--eval', 'serve: ; @tools/in-private demo test/t/lib/serve', 'serve');

# Starts make in a process group of its own, which works below $dir.
sub start_make
{
    my ($dir, @arguments) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    setsid();
    delete @ENV{ grep { /^PG|^MAKE|^MFLAGS/ } keys %ENV };
    $ENV{TMPDIR} = $dir;
    open STDOUT, '>', "$dir.log" or die "$dir.log: $!";
    open STDERR, '>&', \*STDOUT or die $!;
    exec 'make', '-C', source_root(), @arguments or die "make: $!";
}

# What a terminal's Ctrl-C does, what kill does, what a closed terminal does: while
# initdb works (its server is one without a postmaster, which the file tells by a
# minus), while the server runs, and when it does not answer and has to be killed.
for my $way ([ 'INT', 'group', 'initdb', @serve ], [ 'TERM', 'make alone', 'server', @demo ], [ 'HUP', 'group', 'stopped server', @serve ])
{
    my ($signal, $to, $what, @arguments) = @$way;
    # Sockets need a short path.
    my $dir = File::Temp::tempdir('omendb-XXXXX', DIR => '/tmp', CLEANUP => 1);
    my $pid = start_make($dir, @arguments);
    my $server;
    my $running = wait_until(sub { defined($server = server_pid($dir)) && ($what eq 'initdb' || $server > 0) || waitpid($pid, WNOHANG) }, $build_patience);
    ok($running && scalar(processes_below($dir)), "SIG$signal to $to: $what had started");

    my @segments;
    ok(wait_until(sub { @segments = segments_below($dir) }), "SIG$signal to $to: it has shared memory");
    kill 'STOP', $server if $what eq 'stopped server';
    kill $signal, ($to eq 'group' ? -$pid : $pid);
    my $status;
    ok(wait_until(sub { waitpid($pid, WNOHANG) == $pid && defined($status = $?) }), "SIG$signal to $to: make ended");
    isnt($status, 0, "SIG$signal to $to: and does not claim success");
    # make itself may be gone before what it started has cleaned up.
    wait_until(sub { !processes_below($dir) && !files("$dir/*") });
    is_deeply([ processes_below($dir) ], [], "SIG$signal to $to: no process is left");
    is_deeply([ files("$dir/* $dir/.[!.]*") ], [], "SIG$signal to $to: no file is left");
    is_deeply([ remaining(@segments) ], [], "SIG$signal to $to: no shared memory is left");
    like(slurp_file("$dir.log"), qr/interrupted; ending what was started/, "SIG$signal to $to: and says what takes time");
    diag(slurp_file("$dir.log")) unless Test::More->builder->is_passing;
    unlink "$dir.log";
}

done_testing();
