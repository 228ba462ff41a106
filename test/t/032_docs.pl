# The SQL of README.md and docs/ runs, and says what they show (tools/doc-sql);
# docs/reference.md names everything that an application can call or set.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

chdir source_root() or die "chdir: $!";
my $node = start_node('docs');
create_omendb($node, 'reference');
use_node($node, 'postgres');

# ---------------------------------------------------------------- every block of every file

my @files = sort glob '*.md docs/*.md {bench,demo,src}/README.md';
for my $file (@files)
{
    for my $line (split /\n/, `tools/doc-sql $file`)
    {
        if (my ($bad, $name) = $line =~ /^(not )?ok \d+ - (.*)/) { ok(!$bad, $name) }
        elsif ($line =~ /^# ?(.*)/) { diag($1) }
    }
    ok($? == 0, "$file: all of it");
}

# ---------------------------------------------------------------- and tools/doc-sql notices

my $wrong = scratch_dir() . '/wrong.md';
append_to_file($wrong, <<'END');
```sql
SELECT 1 AS one;
```

```text
 one
-----
   2
(1 row)
```

```sql
SELECT nonsense;
```

    SELECT stray;

```sql
SELECT 12345 AS n;
```

<!-- numbers vary -->

```text
 n
---
 7
(1 row)
```

```sql
SELECT 1
```

<!-- of no test -->
```sql
SELECT $1;
```

```
SELECT other_fence;
```

<!-- indented -->
    SELECT indented;
END
my $said = `tools/doc-sql $wrong`;
like($said, qr/^not ok \d+ - \S+, line 1$/m, 'another answer');
like($said, qr/^not ok \d+ - \S+, line 12$/m, 'an error');
like($said, qr/^not ok \d+ - \S+, line 31: the last statement/m, 'a statement without its end');
like($said, qr/^not ok \d+ - \S+, line 16: SQL that is not in a block/m, 'SQL that is not run');
like($said, qr/^not ok \d+ - \S+, line 41: SQL that is not in a block/m, 'SQL fenced as something else');
like($said, qr/^not ok \d+ - \S+, line 45: SQL that is not in a block/m, 'SQL that has a name, but is not fenced');
like($said, qr/^not ok \d+ - \S+, line 36: a test runs "of no test"/m, 'a block whose name no test has');
like($said, qr/^ok \d+ - \S+, line 18$/m, 'numbers that may vary');

# ---------------------------------------------------------------- each column of what tells of an index and of a scan

my $monitoring = slurp_file('docs/monitoring.md');
for my $function (qw(hnsw_index_info omendb_last_scan))
{
    my @columns = split /\n/, $node->safe_psql('reference', "SELECT unnest(proargnames[pronargs + 1:]) FROM pg_proc WHERE proname = '$function'");
    cmp_ok(scalar(@columns), '>', 10, "$function has columns");
    is(join(' ', grep { $monitoring !~ /^\| (?:`\w+`, )*`\Q$_\E`(?:, `\w+`)* \|/m } @columns), '', 'each of them is explained');
}

# ---------------------------------------------------------------- the reference is complete

my $reference = slurp_file('docs/reference.md');
my %objects = (
    # but for what the server calls: input and output, handlers, support of operator classes
    function => q{SELECT DISTINCT proname FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
        WHERE prorettype NOT IN ('internal'::regtype, 'cstring'::regtype, 'index_am_handler'::regtype, 'bytea'::regtype)
        AND proname !~ '_(in|recv|typmod_in)$' AND },
    operator => q{SELECT DISTINCT replace(oprname, '|', '\|') FROM pg_operator o JOIN pg_depend d ON d.classid = 'pg_operator'::regclass AND d.objid = o.oid WHERE },
    type => q{SELECT typname FROM pg_type t JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid WHERE typcategory <> 'A' AND },
    'operator class' => q{SELECT opcname FROM pg_opclass c JOIN pg_depend d ON d.classid = 'pg_opclass'::regclass AND d.objid = c.oid WHERE },);
for my $kind (sort keys %objects)
{
    my @names = split /\n/, $node->safe_psql('reference', "$objects{$kind} d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'omendb')");
    cmp_ok(scalar(@names), '>', 2, "there is more than one $kind");
    is(join(' ', grep { $reference !~ /`\Q$_\E[`(]/ } @names), '', "each $kind");
}
is(join(' ', grep { $reference !~ /^\| `\Q$_\E` \|/m } split /\n/, $node->safe_psql('reference', q{LOAD 'omendb'; SELECT name FROM pg_settings WHERE name ~ '^(hnsw|omendb)\.'})), '', 'each setting');
# PostgreSQL has no list of them.
my $options = join ' ', map { /add_\w+_reloption\(\s*reloption_kind, "(\w+)"/g } slurp_file('src/am/hnsw.c');
is($options, 'm ef_construction compact', 'the index options');
is(join(' ', grep { $reference !~ /^\| `\Q$_\E` \|/m } split / /, $options), '', 'each of them');

$node->stop;
done_testing();
