# `make demo`, interrupted while its server runs, leaves no process and no file
# behind. `make check` starts and ends its servers by the same tools/in-private.
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

# Seconds to wait for what takes a few.
my $patience = 180;

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

# What a pattern matches, of patterns with a space between them.
sub files
{
    my ($patterns) = @_;
    return my @matching = glob $patterns;
}

# True as soon as the code is, false if that takes too long.
sub wait_until
{
    my ($code) = @_;
    for (1 .. $patience * 10)
    {
        return 1 if $code->();
        sleep 0.1;
    }
    return 0;
}

# Starts make demo in a process group of its own, which works below $dir.
sub start_demo
{
    my ($dir) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    setsid();
    delete @ENV{ grep { /^PG|^MAKE|^MFLAGS/ } keys %ENV };
    $ENV{TMPDIR} = $dir;
    open STDOUT, '>', "$dir.log" or die "$dir.log: $!";
    open STDERR, '>&', \*STDOUT or die $!;
    exec 'make', '-C', source_root(), 'demo' or die "make: $!";
}

# What a terminal's Ctrl-C does, what kill does, what a closed terminal does.
for my $way ([ 'INT', 'group' ], [ 'TERM', 'make alone' ], [ 'HUP', 'group' ])
{
    my ($signal, $to) = @$way;
    # Sockets need a short path.
    my $dir = File::Temp::tempdir('omendb-XXXXX', DIR => '/tmp', CLEANUP => 1);
    my $pid = start_demo($dir);
    my $running = wait_until(sub { files("$dir/omendb.*/data/postmaster.pid") || waitpid($pid, WNOHANG) });
    ok($running && scalar(processes_below($dir)), "SIG$signal to $to: the server had started");

    kill $signal, ($to eq 'group' ? -$pid : $pid);
    my $status;
    ok(wait_until(sub { waitpid($pid, WNOHANG) == $pid && defined($status = $?) }), "SIG$signal to $to: make ended");
    isnt($status, 0, "SIG$signal to $to: and does not claim success");
    # make itself may be gone before what it started has cleaned up.
    wait_until(sub { !processes_below($dir) && !files("$dir/*") });
    is_deeply([ processes_below($dir) ], [], "SIG$signal to $to: no process is left");
    is_deeply([ files("$dir/* $dir/.[!.]*") ], [], "SIG$signal to $to: no file is left");
    diag(slurp_file("$dir.log")) unless Test::More->builder->is_passing;
    unlink "$dir.log";
}

done_testing();
