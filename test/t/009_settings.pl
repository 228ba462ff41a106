# omendb.simd_level: who may set it, where, and when the library is loaded early,
# late, or not at all.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('settings');
create_omendb($node, 'settings');
$node->safe_psql('postgres', 'CREATE ROLE plain LOGIN; CREATE ROLE granted LOGIN; GRANT SET ON PARAMETER omendb.simd_level TO granted');

my @levels = simd_levels($node, 'settings');
my $best   = $levels[-1];
my ($unavailable) = grep { my $level = $_; !grep { $_ eq $level } @levels } qw(neon avx2);
is($levels[0], 'scalar', 'every machine has scalar');
ok($unavailable, 'no machine has both neon and avx2');
diag("this machine has @levels");

# (stdout, stderr) of SQL as a role
sub as
{
    my ($role, $sql) = @_;
    my ($stdout, $stderr) = ('', '');
    $node->psql('settings', $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-U', $role, '-v', 'VERBOSITY=sqlstate' ]);
    return ($stdout, $stderr);
}
sub state_as { my (undef, $stderr) = as(@_); return $stderr =~ /ERROR:\s+(\w{5})/ ? $1 : '' }
sub output_as { my ($stdout) = as(@_); return $stdout }
sub superuser { return $node->safe_psql('settings', $_[0]) }

# ---------------------------------------------------------------- no preloading

is(superuser('SELECT omendb_simd_level(); SHOW omendb.simd_level'), "$best\nauto", 'the default is the best');
is(sqlstate($node, 'settings', 'SHOW omendb.simd_level'), '42704', 'the setting comes with the library');
is(superuser("SET omendb.simd_level = 'scalar'; SELECT omendb_simd_level(); SHOW omendb.simd_level"), "scalar\nscalar", 'set before the library is loaded');
{
    my ($stdout, $stderr) = session($node, 'settings', "SET omendb.simd_level = 'nonsense'; SELECT omendb_simd_level(); SHOW omendb.simd_level");
    is($stdout, "$best\nauto", 'nonsense set before the library is loaded does nothing');
    like($stderr, qr/WARNING:\s+22023/, 'but warns');
    ($stdout, $stderr) = session($node, 'settings', "SET omendb.simd_level = '$unavailable'; SELECT omendb_simd_level(); SHOW omendb.simd_level");
    is($stdout, "$best\nauto", 'nor does a level that the machine lacks');
    like($stderr, qr/WARNING:\s+0A000/, 'which warns too');
    ($stdout, $stderr) = session($node, 'settings', "SET omendb.nothing = 1; SELECT omendb_simd_level(); SHOW omendb.nothing");
    is($stdout, $best, 'a setting that there is not, set before');
    like($stderr, qr/WARNING:\s+42602.*ERROR:\s+42704/s, 'is warned about and gone');
}

# ---------------------------------------------------------------- who may

is(output_as('plain', 'SELECT omendb_simd_level()'), $best, 'all may read the level');
is(output_as('plain', 'SELECT omendb_simd_level(); SHOW omendb.simd_level'), "$best\nauto", 'and the setting');
is(state_as('plain', "SELECT omendb_simd_level(); SET omendb.simd_level = 'scalar'"), '42501', 'but not set it');
is(state_as('plain', "SELECT omendb_simd_level(); SELECT set_config('omendb.simd_level', 'scalar', true)"), '42501', 'in any way');
{
    my ($stdout, $stderr) = as('plain', "SET omendb.simd_level = 'scalar'; SELECT omendb_simd_level()");
    is($stdout, $best, 'nor before the library is loaded');
    like($stderr, qr/(?:WARNING|ERROR):\s+42501/, 'which is said');
}
is(output_as('granted', "SELECT omendb_simd_level(); SET omendb.simd_level = 'scalar'; SELECT omendb_simd_level()"), "$best\nscalar", 'who is granted SET may');
is(output_as('granted', "SET omendb.simd_level = 'scalar'; SELECT omendb_simd_level()"), 'scalar', 'and before the library is loaded');
is(state_as('granted', "SELECT omendb_simd_level(); SET omendb.simd_level = '$unavailable'"), '0A000', 'not to what the machine lacks');
$node->safe_psql('postgres', 'REVOKE SET ON PARAMETER omendb.simd_level FROM granted');
is(state_as('granted', "SELECT omendb_simd_level(); SET omendb.simd_level = 'scalar'"), '42501', 'until it is revoked');

# ---------------------------------------------------------------- roles, databases, functions

$node->safe_psql('postgres', "ALTER ROLE plain SET omendb.simd_level = 'scalar'");
is(output_as('plain', 'SELECT omendb_simd_level()'), 'scalar', 'ALTER ROLE by a superuser');
$node->safe_psql('postgres', 'ALTER ROLE plain RESET omendb.simd_level');
$node->safe_psql('postgres', "ALTER DATABASE settings SET omendb.simd_level = 'scalar'");
is(output_as('plain', 'SELECT omendb_simd_level()'), 'scalar', 'ALTER DATABASE');
is(superuser("LOAD 'omendb'; RESET omendb.simd_level; SELECT omendb_simd_level()"), 'scalar', 'RESET goes back to that');
$node->safe_psql('postgres', 'ALTER DATABASE settings RESET omendb.simd_level');
is(sqlstate($node, 'settings', "LOAD 'omendb'; ALTER DATABASE settings SET omendb.simd_level = 'nonsense'"), '22023', 'nonsense is refused there');

# ---------------------------------------------------------------- ALTER SYSTEM and reloads

is(sqlstate($node, 'settings', "LOAD 'omendb'; ALTER SYSTEM SET omendb.simd_level = 'nonsense'"), '22023', 'ALTER SYSTEM refuses nonsense');
is(sqlstate($node, 'settings', "LOAD 'omendb'; ALTER SYSTEM SET omendb.simd_level = '$unavailable'"), '0A000', 'and what the machine lacks');
superuser("LOAD 'omendb'; ALTER SYSTEM SET omendb.simd_level = 'scalar'");
$node->reload;
is(output_as('plain', 'SELECT omendb_simd_level()'), 'scalar', 'ALTER SYSTEM and a reload');
superuser("LOAD 'omendb'; ALTER SYSTEM RESET omendb.simd_level");
$node->reload;
is(output_as('plain', 'SELECT omendb_simd_level()'), $best, 'and back');

# ---------------------------------------------------------------- session_preload_libraries

is($node->safe_psql('settings', 'SHOW omendb.simd_level', extra_params => [ '-d', $node->connstr('settings') . q( options='-c session_preload_libraries=omendb') ]), 'auto', 'session_preload_libraries defines the setting');
is($node->safe_psql('settings', 'SELECT omendb_simd_level()', extra_params => [ '-d', $node->connstr('settings') . q( options='-c session_preload_libraries=omendb -c omendb.simd_level=scalar') ]), 'scalar',
    'and takes a value from the connection');

# ---------------------------------------------------------------- shared_preload_libraries

sub restart_with
{
    my ($conf) = @_;
    $node->stop;
    # From here on: a session that was just ending may have logged its end.
    my $offset = -s $node->logfile;
    open my $fh, '>', $node->data_dir . '/omendb.conf' or die;
    print {$fh} "shared_preload_libraries = 'omendb'\n$conf";
    close $fh;
    $node->start;
    return substr slurp_file($node->logfile), $offset;
}
$node->append_conf('postgresql.conf', "include_if_exists = 'omendb.conf'\n");

my $log = restart_with('');
is(superuser('SHOW omendb.simd_level'), 'auto', 'shared_preload_libraries defines the setting');
is(superuser('SELECT omendb_simd_level()'), $best, 'and its level');
unlike($log, qr/WARNING|ERROR|FATAL/, 'without a word');
is(sqlstate($node, 'settings', 'SET omendb.nothing = 1'), '42602', 'other names are reserved');

$log = restart_with("omendb.simd_level = 'scalar'\n");
is(superuser('SELECT omendb_simd_level()'), 'scalar', 'a level in postgresql.conf');
unlike($log, qr/WARNING|ERROR|FATAL/, 'without a word');

$log = restart_with("omendb.simd_level = '$unavailable'\n");
is(superuser('SELECT omendb_simd_level()'), $best, 'a level in postgresql.conf that the machine lacks: the best is used');
like($log, qr/invalid value for parameter "omendb\.simd_level": "$unavailable".*?This machine has no "$unavailable" instructions; its best level is "$best"/s, 'and the log says why');

$log = restart_with("omendb.simd_level = 'nonsense'\n");
is(superuser('SELECT omendb_simd_level()'), $best, 'nonsense in postgresql.conf');
like($log, qr/invalid value for parameter "omendb\.simd_level": "nonsense".*?Available values: auto, scalar, neon, avx2, avx512/s, 'and the log says what there is');

$log = restart_with("omendb.nothing = 1\n");
is(superuser('SELECT omendb_simd_level()'), $best, 'a setting that there is not, in postgresql.conf');
like($log, qr/invalid configuration parameter name "omendb\.nothing"/, 'and the log says so');

# A reload that changes the file reaches sessions that are running.
$log = restart_with("omendb.simd_level = 'scalar'\n");
{
    my $path = $node->data_dir . '/omendb.conf';
    my ($in, $out) = ("SELECT 'before ' || omendb_simd_level();\n", '');
    my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('settings') ], '<', \$in, '>', \$out, '2>&1', IPC::Run::timeout(180));
    $session->pump until $out =~ /before \w+\n/;
    open my $fh, '>', $path or die;
    print {$fh} "shared_preload_libraries = 'omendb'\nomendb.simd_level = 'auto'\n";
    close $fh;
    $node->reload;
    # a backend reads the file between commands: ask until it has
    for (1 .. 1800)
    {
        $out = '';
        $in .= "SELECT 'after ' || omendb_simd_level();\n";
        $session->pump until $out =~ /after \w+\n/;
        last if $out =~ /after $best\n/;
        select undef, undef, undef, 0.1;
    }
    like($out, qr/after $best\n/, 'a reload reaches a running session');
    $in .= "\\q\n";
    $session->finish;
}

# 18 shows what is loaded.
if (server_version($node) >= 180000)
{
    is(superuser("SELECT module_name, version FROM pg_get_loaded_modules() WHERE file_name LIKE 'omendb%'"), 'omendb|0.1.0', 'the library tells its name and version');
}
else
{
    is(sqlstate($node, 'settings', 'SELECT pg_get_loaded_modules()'), '42883', 'this server does not ask for name and version');
}

$node->stop;
done_testing();
