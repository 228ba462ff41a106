# The SQL surface of pgvector (pgvector-surface.tsv) against what a server has.
#
# A row is [kind, object, attributes], as in the list. Reading the lists, choosing
# the rows in scope, comparing and deriving behavioural checks are pure functions
# over rows; only catalog_rows and run_check talk to a server, through psql and
# the environment's PGHOST, PGPORT, PGUSER and PGDATABASE.
#
# What omendb does not do as pgvector, on purpose, is in differences.tsv: a
# difference is { row, status, instead, reason }.
package Surface;

use strict;
use warnings;

use Exporter 'import';
use File::Temp;

our @EXPORT_OK = qw(read_list read_differences split_scope compare catalog_rows checks_of run_check run_psql row_name);

# Objects of omendb's own, which pgvector has not.
our @OWN = (
    [ 'access method', 'hnsw', 'index' ],
    [ 'access method', 'ivfflat', 'index' ],
    [ 'function', 'omendb_simd_level() returns text', 'stable strict parallel safe' ],
    [ 'function', 'omendb_last_scan() returns record', 'volatile strict parallel restricted' ],
    [ 'function', 'hnsw_index_info(regclass) returns record', 'volatile strict parallel restricted' ],
    [ 'function', 'hnsw_index_check(regclass, boolean) returns setof record', 'volatile strict parallel restricted' ],
    [ 'function', 'hnsw_index_size_estimate(bigint, integer, integer, integer) returns record', 'immutable strict parallel safe' ],
    [ 'function', 'hnsw_reindex_commands() returns setof record', 'volatile strict parallel restricted' ],
    [ 'function', 'hnsw_recall(regclass, integer, integer) returns double precision', 'volatile strict parallel restricted' ],
    [ 'function', 'rrf(bigint, integer) returns double precision', 'immutable parallel safe' ],
    [ 'setting', 'hnsw.custom_scan', 'bool, default on, user' ],
    [ 'setting', 'hnsw.exhaustive_scan', 'bool, default on, user' ],
    [ 'setting', 'hnsw.recall_target', 'real, default 0, range 0..0.999, user' ],
    [ 'setting', 'hnsw.scan_strategy', 'enum, default auto, values {auto,graph,bitmap,exact}, user' ],
    [ 'setting', 'omendb.simd_level', 'enum, default auto, values {auto,scalar,neon,avx2,avx512}, superuser' ],);

# Kinds of the list that describe behaviour, not a catalog.
our %BEHAVIOUR = map { $_ => 1 } ('limit', 'text format', 'binary format', 'index option');

sub row_name
{
    my ($row) = @_;
    return "$row->[0] $row->[1]: $row->[2]";
}

# The lines of a file with that many columns.
sub read_columns
{
    my ($path, $columns) = @_;
    my @rows;
    open my $fh, '<', $path or die "cannot read $path: $!\n";
    while (my $line = <$fh>)
    {
        chomp $line;
        next if $line =~ /^#/ or $line =~ /^\s*$/;
        my @columns = split /\t/, $line, -1;
        die "$path line $.: expected $columns columns\n" unless @columns == $columns;
        push @rows, \@columns;
    }
    close $fh;
    return @rows;
}

sub read_list
{
    my ($path) = @_;
    return read_columns($path, 3);
}

sub read_differences
{
    my ($path) = @_;
    my @differences;
    for my $columns (read_columns($path, 6))
    {
        my ($kind, $object, $attributes, $status, $instead, $reason) = @$columns;
        my $name = row_name($columns);
        die "$path: later or differs: $name\n" unless $status =~ /^(later|differs)$/;
        die "$path: what it differs by: $name\n" unless ($instead eq '') == ($status eq 'later') and $instead ne $attributes;
        die "$path: no reason: $name\n" unless $reason =~ /\w/;
        push @differences, { row => [ $kind, $object, $attributes ], status => $status, instead => $instead, reason => $reason };
    }
    return @differences;
}

# Rows of the list: (in scope, with what omendb has where it differs; later; out
# of scope for good: ivfflat). Dies where a difference is of no row.
sub split_scope
{
    my ($differences, @rows) = @_;
    my (@in, @later);
    my %difference = map { row_name($_->{row}) => $_ } @$differences;
    for my $row (@rows)
    {
        my $difference = delete $difference{ row_name($row) };
        if    (!$difference)                         { push @in,    $row; }
        elsif ($difference->{status} eq 'later')     { push @later, $row; }
        else                                         { push @in,    [ @$row[ 0, 1 ], $difference->{instead} ]; }
    }
    die "a difference is of no row: $_\n" for sort keys %difference;
    return (\@in, \@later);
}

# What identifies a row, apart from attributes that may differ.
sub key_of
{
    my ($row) = @_;
    my ($kind, $object, $attributes) = @$row;
    return "$kind $object " . ($attributes =~ /^(access method \w+)/)[0] if $kind eq 'operator class';
    return "$kind $object " . ($attributes =~ /^(strategy \d+)/)[0]      if $kind eq 'opclass operator';
    # "name(arguments) returns type": a type that differs is a difference, not two objects
    return "$kind " . ($object =~ /^(.*) returns /)[0] if $kind =~ /^(function|aggregate|operator)$/;
    return "$kind $object";
}

# The list was made in schema public; the schema is not part of the interface.
sub normalized
{
    my ($row) = @_;
    my $text = "$row->[1]\t$row->[2]";
    $text =~ s/\bpublic\.//g;
    $text =~ s/\s+$//;
    return $text;
}

# Differences between what is listed and what there is, as lines of text.
sub compare
{
    my ($listed, $actual, $own) = @_;
    my (%listed, %actual, %own, @differences);
    my @catalog_rows = grep { !$BEHAVIOUR{ $_->[0] } } @$listed;

    $listed{ key_of($_) } = $_ for @catalog_rows;
    $own{ key_of($_) }    = $_ for @$own;
    $actual{ key_of($_) } = $_ for @$actual;

    for my $row (@catalog_rows, @$own)
    {
        my $found = $actual{ key_of($row) };
        if (!$found)
        {
            push @differences, 'missing: ' . row_name($row);
        }
        elsif (normalized($found) ne normalized($row))
        {
            push @differences, 'different: ' . row_name($row) . "\n    found: " . row_name($found);
        }
    }
    for my $row (@$actual)
    {
        push @differences, 'extra: ' . row_name($row) unless $listed{ key_of($row) } or $own{ key_of($row) };
    }
    return @differences;
}

# ------------------------------------------------------------------ behaviour

# Checks that a behavioural row asks for: { row, name, sql, expect }, where expect
# is the output, or 'ERROR <sqlstate>'.
sub checks_of
{
    my ($row) = @_;
    my ($kind, $object, $attributes) = @$row;
    my @checks;
    my $add = sub {
        my ($name, $expect, $sql) = @_;
        push @checks, { row => $row, name => row_name($row) . " -- $name", expect => $expect, sql => $sql };
    };

    if ($kind eq 'text format')
    {
        (my $text = $attributes) =~ s/ \(.*//;
        for my $type (split /, /, $object)
        {
            $add->("in and out as $type", $text, "SELECT '$text'::$type");
        }
        # "(indices from 1)"
        $add->('the last index is the number of dimensions', '{5:1}/5',    "SELECT '{5:1}/5'::$object") if $attributes =~ /indices from 1/;
        $add->('there is no index 0',                        'ERROR 22000', "SELECT '{0:1}/5'::$object") if $attributes =~ /indices from 1/;
    }
    elsif ($kind eq 'binary format')
    {
        # By the words of the row, not by a copy of the bytes.
        my %sample = (
            vector    => [ '[1,-2.5]',       'int16 dimensions, int16 0, then big-endian float4 each',
                "int2send(2::int2) || int2send(0::int2) || float4send(1) || float4send(-2.5)" ],
            halfvec   => [ '[1,-2.5]',       'int16 dimensions, int16 0, then big-endian IEEE half each',
                "int2send(2::int2) || int2send(0::int2) || '\\x3c00'::bytea || '\\xc100'::bytea" ],
            sparsevec => [ '{2:1,5:-2.5}/7', 'int32 dimensions, int32 non-zero count, int32 0, then int32 indices from 0, then big-endian float4 values',
                "int4send(7) || int4send(2) || int4send(0) || int4send(1) || int4send(4) || float4send(1) || float4send(-2.5)" ],);
        my $sample = $sample{$object} or die "no check for " . row_name($row) . "\n";
        die 'the check is for another wording of ' . row_name($row) . "\n" unless $sample->[1] eq $attributes;
        $add->('send', 't', "SELECT ${object}_send('$sample->[0]') = $sample->[2]");
    }
    elsif ($kind eq 'limit')
    {
        my $known = 0;
        if ($attributes =~ /^1\.\.(\d+) dimensions/)
        {
            my ($max, $over) = ($1, $1 + 1);
            $add->("$max dimensions", $max, "SELECT vector_dims(array_fill(1, ARRAY[$max])::$object)");
            $add->("$over dimensions", 'ERROR 54000', "SELECT array_fill(1, ARRAY[$over])::$object");
            $add->('no dimensions',    'ERROR 22000', "SELECT '{}'::int[]::$object");
            $add->("modifier $max",  'ok',          "SELECT 'ok' WHERE NULL::$object($max) IS NULL");
            $add->("modifier $over", 'ERROR 22023', "SELECT NULL::$object($over)");
            $add->('modifier 0',     'ERROR 22023', "SELECT NULL::$object(0)");
            $known = 1;
        }
        if ($attributes =~ /^up to (\d+) dimensions, (\d+) non-zero/)
        {
            my ($max, $over, $nnz, $more) = ($1, $1 + 1, $2, $2 + 1);
            my $text = sub { "('{' || (SELECT string_agg(i || ':1', ',') FROM generate_series(1, $_[0]) i) || '}/$max')::$object" };
            $add->("$max dimensions",  "{}/$max",     "SELECT '{}/$max'::$object");
            $add->("$over dimensions", 'ERROR 54000', "SELECT '{}/$over'::$object");
            $add->("$nnz elements",  $nnz,          "SELECT round(l2_norm(" . $text->($nnz) . ") ^ 2)");
            $add->("$more elements", 'ERROR 54000', 'SELECT ' . $text->($more));
            $known = 1;
        }
        if ($attributes =~ /hnsw index up to (\d+)( non-zero| dimensions)?$/)
        {
            my ($max, $over, $elements) = ($1, $1 + 1, ($2 // '') eq ' non-zero');
            my $class = $object eq 'bit' ? 'bit_hamming_ops' : "${object}_l2_ops";
            my $table = 'surface_limit';
            my $index = "CREATE INDEX ON $table USING hnsw (v $class)";
            $known = 1;
            if ($elements)
            {
                my $value = sub { "('{' || (SELECT string_agg(i || ':1', ',') FROM generate_series(1, $_[0]) i) || '}/20000')::$object" };
                for my $case ([ $max, 'ok' ], [ $over, 'ERROR 54000' ])
                {
                    $add->("index of $case->[0] elements", $case->[1],
                        "CREATE TEMP TABLE $table (v $object(20000)); $index; INSERT INTO $table SELECT " . $value->($case->[0]) . "; SELECT 'ok'");
                }
            }
            else
            {
                my $row_of = $object eq 'bit' ? "repeat('10', $max / 2)::bit($max)" : "array_fill(1, ARRAY[$max])::$object($max)";
                $add->("index of $max dimensions", 'ok', "CREATE TEMP TABLE $table (v $object($max)); $index; SELECT 'ok'");
                $add->("and one that has a row", 'ok', "CREATE TEMP TABLE $table AS SELECT $row_of AS v; $index; INSERT INTO $table SELECT * FROM $table; SELECT 'ok'");
                # The type may have no more.
                $add->("index of $over dimensions", 'ERROR 54000', "CREATE TEMP TABLE $table (v $object($over)); $index; SELECT 'ok'")
                  unless $attributes =~ /^1\.\.$max dimensions/;
            }
        }
        die 'no check for ' . row_name($row) . "\n" unless $known;
    }
    elsif ($kind eq 'index option')
    {
        my ($method, $option) = $object =~ /^(\w+): (\w+)$/ or die 'no check for ' . row_name($row) . "\n";
        my ($default, $low, $high) = $attributes =~ /^integer, default (\d+), range (\d+)\.\.(\d+)/ or die 'no check for ' . row_name($row) . "\n";
        my $with = sub {
            "CREATE TEMP TABLE surface_option (v vector(3)); CREATE INDEX ON surface_option USING $method (v vector_l2_ops) WITH ($_[0]); SELECT 'ok'";
        };
        # The two options of hnsw must fit each other: the other one at an end where it does.
        my $other = $method ne 'hnsw' ? '' : $option eq 'm' ? ', ef_construction = 1000' : ', m = 2';
        $add->("$low is allowed",      'ok', $with->("$option = $low$other"));
        $add->("$high is allowed",     'ok', $with->("$option = $high$other"));
        $add->('below is not',         'ERROR 22023', $with->("$option = " . ($low - 1) . $other));
        $add->('above is not',         'ERROR 22023', $with->("$option = " . ($high + 1) . $other));
        $add->('what is not an integer is not', 'ERROR 22023', $with->("$option = 'x'"));
        if ($attributes =~ /at least 2\*m/)
        {
            # The defaults show in what fits them: ef_construction's by m, and m's (16) by ef_construction.
            $add->("default $default fits m = " . $default / 2, 'ok', $with->('m = ' . $default / 2));
            $add->('and no larger one', 'ERROR 22023', $with->('m = ' . ($default / 2 + 1)));
            $add->('20 fits m = 10',      'ok',          $with->('m = 10, ef_construction = 20'));
            $add->('19 does not',         'ERROR 22023', $with->('m = 10, ef_construction = 19'));
        }
        elsif ($method eq 'hnsw' and $option eq 'm')
        {
            $add->("default $default fits ef_construction = " . 2 * $default, 'ok', $with->('ef_construction = ' . 2 * $default));
            $add->('and no smaller one', 'ERROR 22023', $with->('ef_construction = ' . (2 * $default - 1)));
        }
    }
    return @checks;
}

# ------------------------------------------------------------------ the server

# Output and SQLSTATE ('' for none) of some SQL in a session of its own.
sub run_psql
{
    my ($sql) = @_;
    my $in  = File::Temp->new;
    my $out = File::Temp->new;
    my $err = File::Temp->new;
    print {$in} $sql;
    close $in;

    my $pid = fork() // die "cannot fork: $!\n";
    if ($pid == 0)
    {
        open STDIN,  '<', "$in"  or exit 126;
        open STDOUT, '>', "$out" or exit 126;
        open STDERR, '>', "$err" or exit 126;
        exec 'psql', '-XAtq', '-F', "\t", '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=sqlstate', '-f', '-' or exit 127;
    }
    waitpid $pid, 0;
    my $status = $?;
    my ($output, $errors) = map { open my $fh, '<', "$_" or die; local $/; my $text = <$fh> // ''; $text } ($out, $err);
    chomp $output;
    return ($output, '') if $status == 0;
    return ($output, $1) if $errors =~ /ERROR:\s+([0-9A-Z]{5})/;
    die "psql failed: $errors\n";
}

# Runs a check of checks_of; what was wrong, or ''.
sub run_check
{
    my ($check) = @_;
    my ($output, $state) = run_psql($check->{sql});
    my $got = $state ? "ERROR $state" : $output;
    return $got eq $check->{expect} ? '' : "$check->{name}: expected $check->{expect}, got $got";
}

my $MEMBER = sub {
    my ($catalog, $oid) = @_;
    return "EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = :'extension'
             WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = '$catalog'::regclass AND d.objid = $oid AND d.deptype = 'e')";
};

# Everything that belongs to the extension, as rows of the list.
sub catalog_rows
{
    my ($extension) = @_;
    my $sql = "\\set extension $extension\n" . <<'SQL';
SELECT (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = :'extension') AS schema \gset
\if :{?schema}
\else
\echo no such extension
\quit
\endif
SET search_path = :schema, pg_catalog;
-- defines the settings: pgvector's library when it is loaded, omendb's access method when it is asked
\o /dev/null
SELECT '[1]'::vector, pg_indexam_has_property(oid, 'can_order') FROM pg_am WHERE amname = 'hnsw';
\o

SELECT 'type', t.typname,
       format('align %s, storage %s, length %s, category %s, in %s, out %s, recv %s, send %s, typmod_in %s', typalign,
              CASE typstorage WHEN 'e' THEN 'external' WHEN 'x' THEN 'extended' WHEN 'm' THEN 'main' ELSE 'plain' END,
              typlen, typcategory, typinput, typoutput, typreceive, typsend, typmodin)
    FROM pg_type t WHERE MEMBER(pg_type, t.oid) AND typtype = 'b' AND typelem = 0;

SELECT CASE prokind WHEN 'a' THEN 'aggregate' WHEN 'f' THEN 'function' ELSE 'prokind ' || prokind::text END,
       format('%s(%s) returns %s', proname,
              (SELECT string_agg(format_type(t, NULL), ', ' ORDER BY n) FROM unnest(proargtypes) WITH ORDINALITY a(t, n)),
              CASE WHEN proretset THEN 'setof ' ELSE '' END || format_type(prorettype, NULL)),
       concat_ws(' ', CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                 CASE WHEN proisstrict THEN 'strict' END,
                 CASE proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END,
                 CASE WHEN prosecdef THEN 'security definer' END, CASE WHEN proleakproof THEN 'leakproof' END)
    FROM pg_proc p WHERE MEMBER(pg_proc, p.oid)
        -- the inside of an access method is not its interface
        AND NOT EXISTS (SELECT FROM pg_am a WHERE a.amhandler = p.oid AND MEMBER(pg_am, a.oid))
        AND NOT EXISTS (SELECT FROM pg_amproc ap JOIN pg_opfamily f ON f.oid = ap.amprocfamily JOIN pg_am a ON a.oid = f.opfmethod
                        WHERE ap.amproc = p.oid AND MEMBER(pg_am, a.oid) AND p.prorettype = 'internal'::regtype);

SELECT 'operator', format('%s %s %s returns %s', format_type(oprleft, NULL), oprname, format_type(oprright, NULL), format_type(oprresult, NULL)),
       format('function %s, commutator %s, negator %s, restrict %s, join %s', (SELECT proname FROM pg_proc WHERE oid = oprcode),
              (SELECT oprname FROM pg_operator c WHERE c.oid = o.oprcom), (SELECT oprname FROM pg_operator n WHERE n.oid = o.oprnegate),
              (SELECT proname FROM pg_proc WHERE oid = oprrest), (SELECT proname FROM pg_proc WHERE oid = oprjoin))
       || CASE WHEN oprcanmerge THEN ', merges' ELSE '' END || CASE WHEN oprcanhash THEN ', hashes' ELSE '' END
    FROM pg_operator o WHERE MEMBER(pg_operator, o.oid);

SELECT 'cast', format('%s as %s', format_type(castsource, NULL), format_type(casttarget, NULL)),
       CASE castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' ELSE 'explicit' END
       || CASE castmethod WHEN 'f' THEN '' WHEN 'i' THEN ', through text' ELSE ', binary coercible' END
    FROM pg_cast c WHERE MEMBER(pg_cast, c.oid);

SELECT 'access method', amname, CASE amtype WHEN 'i' THEN 'index' ELSE 'table' END FROM pg_am a WHERE MEMBER(pg_am, a.oid);

SELECT 'operator class', opcname, format('access method %s, type %s', amname, format_type(opcintype, NULL)) || CASE WHEN opcdefault THEN ', default' ELSE '' END
    FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE MEMBER(pg_opclass, c.oid);

SELECT 'opclass operator', format('%s (%s)', opfname, amname),
       format('strategy %s %s(%s,%s)', amopstrategy, oprname, format_type(amoplefttype, NULL), format_type(amoprighttype, NULL))
       || CASE amoppurpose WHEN 'o' THEN ' for order by ' || (SELECT opfname FROM pg_opfamily s WHERE s.oid = amopsortfamily) ELSE '' END
    FROM pg_amop JOIN pg_opfamily f ON f.oid = amopfamily JOIN pg_am a ON a.oid = opfmethod JOIN pg_operator o ON o.oid = amopopr
    WHERE MEMBER(pg_opfamily, f.oid);

-- a family is named as the class that it comes with; any other is something new
SELECT 'operator family', opfname, format('access method %s', amname) FROM pg_opfamily f JOIN pg_am a ON a.oid = opfmethod
    WHERE MEMBER(pg_opfamily, f.oid)
        AND NOT EXISTS (SELECT FROM pg_opclass c WHERE c.opcfamily = f.oid AND c.opcname = f.opfname AND MEMBER(pg_opclass, c.oid));

SELECT 'setting', name,
       concat_ws(', ', vartype, 'default ' || boot_val, CASE WHEN vartype = 'enum' THEN format('values %s', enumvals)
                 WHEN vartype IN ('integer', 'real') THEN format('range %s..%s', min_val, max_val) END, context)
    FROM pg_settings WHERE split_part(name, '.', 1) IN (:'extension', 'hnsw', 'ivfflat') AND name LIKE '%.%';

-- whatever else belongs to it
SELECT 'other object', pg_describe_object(classid, objid, objsubid), ''
    FROM pg_depend d JOIN pg_extension e ON e.oid = refobjid AND e.extname = :'extension'
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
        AND classid NOT IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_cast'::regclass, 'pg_am'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass)
        AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = objid AND (typtype = 'b' OR typelem <> 0)));
SQL
    $sql =~ s/MEMBER\((\w+), ([\w.]+)\)/$MEMBER->($1, $2)/ge;
    my ($output, $state) = run_psql($sql);
    die "cannot read the catalogs: $state\n" if $state;
    die "there is no extension $extension in this database\n" if $output =~ /^no such extension/m;
    return map { [ split /\t/, $_, -1 ] } split /\n/, $output;
}

1;
