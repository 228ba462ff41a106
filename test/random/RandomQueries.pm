# Makes, from a seed, tables with hnsw indexes and queries over them: nothing
# but SQL text, and for each query what is needed to judge its answer. The same
# seed gives the same text on every machine: the only source of chance is this
# file's own generator, and the rows are computed from hashes of their numbers.
# (What the server draws by itself stays free: the levels of graph nodes that are
# inserted after the index was built.)
#
# A query comes in two forms. The one under test may use indexes, parameters,
# functions, cursors, and has the LIMIT. The reference is plain, without indexes,
# with constants, and has no LIMIT where the query's rows are a part, given by
# their places, of a longer ordered list.
package RandomQueries;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(random_case case_script describe_failure);

# type, access method's operator class, operator, a usual distance between two vectors of d dimensions with values of that spread
my @opclasses = (
    [ 'vector',  'vector_l2_ops',      '<->', sub { $_[1] * sqrt($_[0] / 6) } ],
    [ 'vector',  'vector_ip_ops',      '<#>', sub { -$_[1]**2 * $_[0] / 8 } ],
    [ 'vector',  'vector_cosine_ops',  '<=>', sub { 0.5 } ],
    [ 'vector',  'vector_l1_ops',      '<+>', sub { $_[1] * $_[0] / 3 } ],
    [ 'halfvec', 'halfvec_l2_ops',     '<->', sub { $_[1] * sqrt($_[0] / 6) } ],
    [ 'halfvec', 'halfvec_ip_ops',     '<#>', sub { -$_[1]**2 * $_[0] / 8 } ],
    [ 'halfvec', 'halfvec_cosine_ops', '<=>', sub { 0.5 } ],
    [ 'halfvec', 'halfvec_l1_ops',     '<+>', sub { $_[1] * $_[0] / 3 } ],
    [ 'sparsevec', 'sparsevec_l2_ops',     '<->', sub { $_[1] * sqrt($_[0] / 6) } ],
    [ 'sparsevec', 'sparsevec_ip_ops',     '<#>', sub { -$_[1]**2 * $_[0] / 8 } ],
    [ 'sparsevec', 'sparsevec_cosine_ops', '<=>', sub { 0.5 } ],
    [ 'sparsevec', 'sparsevec_l1_ops',     '<+>', sub { $_[1] * $_[0] / 3 } ],
    [ 'bit',     'bit_hamming_ops',    '<~>', sub { $_[0] / 2 } ],
    [ 'bit',     'bit_jaccard_ops',    '<%>', sub { 0.6 } ],);

# What the whole case is made of: see random_case.
my ($case, $state);

# ---------------------------------------------------------------- chance

# A linear congruential generator of 48 bits, in two halves so that no product
# leaves the integers.
sub start_chance
{
    my ($seed) = @_;
    $state = ($seed * 7919 + 12345) % 2**48;
    number(2) for 1 .. 20;
    return;
}

# An integer from 0 to n - 1.
sub number
{
    my ($n) = @_;
    my ($high, $low) = (int($state / 2**24), $state % 2**24);
    my ($times_high, $times_low) = (0x5DE, 0xECE66D);
    my $product = $low * $times_low + 11;
    $state = (($high * $times_low + $low * $times_high + int($product / 2**24)) % 2**24) * 2**24 + $product % 2**24;
    return int($state / 2**16) % $n;
}

sub between { my ($least, $most) = @_; return $least + number($most - $least + 1) }
sub pick { return $_[ number(scalar @_) ] }
sub share { return number(10000) / 10000 }
sub chance { my ($percent) = @_; return number(100) < $percent }

# ---------------------------------------------------------------- constants

# A constant of the query: written as such in the reference, and under test as a
# constant, a parameter or a variable. In SQL text its number stands between two
# characters that no query has.
sub constant
{
    my ($type, $literal) = @_;
    push @{ $case->{constants} }, [ $type, $literal ];
    return "\x{ab}" . $#{ $case->{constants} } . "\x{bb}";
}

sub int_constant { return constant('int', $_[0]) }
sub text_constant { return constant('text', "'$_[0]'") }

sub with_literals
{
    my ($sql) = @_;
    $sql =~ s/\x{ab}(\d+)\x{bb}/$case->{constants}[$1][1]/g;
    return $sql;
}

# The text with $1, $2, ... or other names, and the constants in this order.
sub with_names
{
    my ($sql, $name) = @_;
    my (%place, @used);
    $sql =~ s/\x{ab}(\d+)\x{bb}/
        if (!$place{$1}) { push @used, $case->{constants}[$1]; $place{$1} = @used }
        $name->($place{$1})/gex;
    return ($sql, @used);
}

# ---------------------------------------------------------------- tables

sub random_vector_literal
{
    my ($kind, $zero) = @_;
    my $d = $case->{d};
    my $text;
    if ($kind eq 'bit') { $text = join '', map { $zero ? 0 : number(2) } 1 .. $d }
    else
    {
        my @elements = map { $zero ? 0 : $case->{grid} ? number($case->{grid}) - int($case->{grid} / 2) : sprintf('%.3f', (share() - 0.4) * $case->{spread}) } 1 .. $d;
        $text = $kind eq 'sparsevec' ? '{' . join(',', map { "$_:$elements[$_ - 1]" } 1 .. $d) . "}/$d" : '[' . join(',', @elements) . ']';
    }
    return "'$text'::$kind" . (chance(50) ? "($d)" : '') if $kind ne 'bit';
    return "B'$text'";
}

# An immutable function of the seed's vectors, and one of numbers.
sub data_functions
{
    my $kind = pick(qw(grid grid float float cluster lengths));
    $case->{grid} = $kind eq 'grid' ? pick(2, 2, 3, 5, 9) : 0;
    $case->{spread} = $kind eq 'grid' ? $case->{grid} : $kind eq 'cluster' ? 5 : pick(0.01, 1, 1, 100);
    my $value = {
        grid    => "floor(noise(n, i) * $case->{grid}) - " . int(($case->{grid} || 2) / 2),
        float   => "(noise(n, i) - 0.4) * $case->{spread}",
        cluster => 'noise(n % ' . pick(3, 7, 30) . ", i) * 5 + noise(n, i) * " . pick(0.01, 0.3, 2),
        lengths => "(noise(n, i) - 0.4) * noise(n, 0) * noise(n, 0) * $case->{spread}" }->{$kind};
    my $zero = $case->{zeros} ? "CASE WHEN n % $case->{zeros} = 0 THEN 0 ELSE 1 END * " : '';
    my $ones = pick(0.05, 0.3, 0.5, 0.5, 0.9);
    my $body = $case->{base} eq 'bit'
        ? "SELECT string_agg(CASE WHEN ${zero}1 = 1 AND noise(n, i) < $ones THEN '1' ELSE '0' END, '' ORDER BY i)::bit($case->{d}) FROM generate_series(1, $case->{d}) i"
        : "SELECT array_agg($zero($value) ORDER BY i)::vector($case->{d})" . ($case->{base} ne 'vector' ? "::$case->{base}($case->{d})" : '') . " FROM generate_series(1, $case->{d}) i";
    return (
        'CREATE FUNCTION noise(a bigint, b bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (abs(hashint8extended(a * 16384 + b, 7) % 1000000)) / 1000000.0',
        'CREATE FUNCTION draw(a bigint, b bigint, n int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN abs(hashint8extended(a * 64 + b, 11) % n)::int',
        "CREATE FUNCTION vec(n bigint) RETURNS $case->{base} LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ($body)",
        'CREATE FUNCTION is_small(n int) RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN n < 5; END $$',
        # For cursors that their opener may fetch from only because another opened them.
        'CREATE FUNCTION secret(n int) RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN n % 4 > 0; END $$', 'REVOKE ALL ON FUNCTION secret FROM public',
        'CREATE TABLE two (n int)', 'INSERT INTO two VALUES (1), (2)');
}

# The values of one row as expressions of i, in the order of the columns.
sub insert
{
    my ($table, $from, $to) = @_;
    my $source = $table->{distinct} ? "i % $table->{distinct}" : 'i';
    my $vector = $table->{nulls} ? "CASE WHEN draw(i, 5, $table->{nulls}) = 0 THEN NULL ELSE vec($source) END" : "vec($source)";
    my $tags = {
        'text[]' => q{ARRAY(SELECT 't' || draw(i, 20 + j, 9) FROM generate_series(1, draw(i, 4, 4)) j)},
        'jsonb'  => q{jsonb_build_object('k', draw(i, 6, 5), 'tags', ARRAY(SELECT 't' || draw(i, 20 + j, 9) FROM generate_series(1, draw(i, 4, 4)) j))},
    }->{ $case->{tags} };
    return "INSERT INTO $table->{name} (id, a, b, name, tags, v) SELECT i, draw(i, 1, $case->{a}), CASE WHEN draw(i, 2, 4) > 0 THEN draw(i, 3, $case->{b}) END, 'n' || draw(i, 7, $case->{names}), $tags, $vector FROM generate_series($from, $to) i";
}

sub columns
{
    my ($shuffled) = @_;
    my @columns = ('id int', 'a int', 'b int', 'name text', "tags $case->{tags}", "v $case->{base}($case->{d})");
    @columns = (@columns[ 5, 2, 0, 4 ], 'gone int', @columns[ 1, 3 ]) if $shuffled;
    return join ', ', @columns;
}

sub create_table
{
    my ($table) = @_;
    my ($name, $form) = @{$table}{qw(name form)};
    my @sql;
    if ($form eq 'plain')
    {
        push @sql, "CREATE TABLE $name (" . columns(chance(30)) . ')';
    }
    elsif ($form eq 'children')
    {
        my $moved = chance(50);
        push @sql, "CREATE TABLE $name (" . columns(0) . ')', "CREATE TABLE ${name}_1 () INHERITS ($name)", "CREATE TABLE ${name}_2 (" . columns($moved) . ')';
        push @sql, "ALTER TABLE ${name}_2 DROP COLUMN gone" if $moved;
        push @sql, "ALTER TABLE ${name}_2 INHERIT $name";
    }
    else
    {
        my ($by, @bounds) = @{ {
            list  => [ 'LIST (name)', "IN ('n0', 'n2')", "IN ('n1')", '' ],
            hash  => [ 'HASH (id)', map { "WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2 ],
            range => [ 'RANGE (a)', '(MINVALUE) TO (' . int($case->{a} / 3) . ')', '(' . int($case->{a} / 3) . ') TO (' . ($case->{a} - 1) . ')', '' ],
        }->{$form} };
        push @sql, "CREATE TABLE $name (" . columns(0) . ") PARTITION BY $by";
        for my $i (0 .. $#bounds)
        {
            my $bound = $bounds[$i] eq '' ? 'DEFAULT' : 'FOR VALUES ' . ($form eq 'range' ? 'FROM ' : '') . $bounds[$i];
            my $moved = chance(30);
            push @sql, "CREATE TABLE ${name}_$i (" . columns($moved) . ')';
            push @sql, "ALTER TABLE ${name}_$i DROP COLUMN gone" if $moved;
            push @sql, "ALTER TABLE $name ATTACH PARTITION ${name}_$i $bound";
        }
    }
    return @sql;
}

# The names of the tables that have rows of their own.
sub leaves
{
    my ($table) = @_;
    return ($table->{name}) if $table->{form} eq 'plain';
    return ($table->{name}, "$table->{name}_1", "$table->{name}_2") if $table->{form} eq 'children';
    return map { "$table->{name}_$_" } 0 .. 2;
}

sub vector_index
{
    my ($table) = @_;
    my @options;
    if (chance(40)) { my $m = pick(2, 3, 4, 8, 16, 24); push @options, "m = $m", 'ef_construction = ' . pick(2 * $m > 4 ? 2 * $m : 4, 64, 100) }
    push @options, 'compact = true' if chance(25) && $case->{indexed} ne 'bit';
    my $key = $case->{expression} eq 'v' ? 'v' : "($case->{expression})";
    my $rest = "USING hnsw ($key $case->{opclass})" . (@options ? ' WITH (' . join(', ', @options) . ')' : '') . ($table->{partial} ? " WHERE $table->{partial}" : '');
    # The indexes of inheritance children are their own; one may have none.
    return map { "CREATE INDEX ON $_ $rest" } grep { !/_2$/ || $case->{all_indexed} } leaves($table) if $table->{form} eq 'children';
    return "CREATE INDEX ON $table->{name} $rest";
}

sub other_indexes
{
    my ($table) = @_;
    my @choice = (
        'USING btree (a)', 'USING btree (b)', 'USING btree (a, b)', 'USING btree (name)', 'USING btree (name, id)', 'USING btree (id)', 'USING btree (b DESC NULLS FIRST, id)',
        'USING hash (a)', 'USING hash (name)', 'USING gin (tags)', 'USING brin (a)', 'USING brin (id)', 'USING btree ((a % 10))', 'USING btree (a) WHERE b IS NOT NULL',
        'USING btree (id) INCLUDE (a)', "USING btree (v) WHERE a = 1");
    @choice = grep { !/\(v\)/ } @choice if $case->{base} eq 'bit';
    return map { my $index = pick(@choice); map { "CREATE INDEX ON $_ $index" } $table->{form} eq 'children' ? leaves($table) : $table->{name} } 1 .. pick(0, 1, 2, 2, 4);
}

sub make_table
{
    my ($table) = @_;
    my ($name, $rows) = @{$table}{qw(name rows)};
    my @sql = create_table($table);
    my @fill;
    if ($table->{form} eq 'children')
    {
        my @each = leaves($table);
        my $part = int($rows / 3);
        @fill = map { insert({ %$table, name => $each[$_] }, $_ * $part + 1, $_ == 2 ? $rows : ($_ + 1) * $part) } 0 .. 2;
    }
    else
    {
        my $half = int($rows * pick(0, 0.3, 0.5, 0.9, 1));
        @fill = (insert($table, 1, $half), insert($table, $half + 1, $rows));
    }
    my $vector_index_at = $table->{no_vector_index} ? -1 : number(@fill + 1);
    for my $i (0 .. @fill)
    {
        push @sql, vector_index($table) if $i == $vector_index_at;
        push @sql, $fill[$i] if $i < @fill;
    }
    push @sql, other_indexes($table);

    # Dead rows: (vacuumed), then perhaps more of them.
    for my $round (1 .. pick(0, 1, 1, 2))
    {
        my $salt = 30 + $round;
        my $some = 'draw(id, ' . $salt . ', ' . pick(10, 4, 4, 2) . ') = 0';
        push @sql, "DELETE FROM $name WHERE $some" if chance(70);
        push @sql, "UPDATE $name SET v = vec(id + 100000) WHERE draw(id, $salt, 6) = 1" if chance(50);
        push @sql, "UPDATE $name SET b = b + 1 WHERE draw(id, $salt, 5) = 2" if chance(60);
        push @sql, "UPDATE $name SET tags = NULL WHERE draw(id, $salt, 9) = 3" if chance(30);
        push @sql, "BEGIN", "UPDATE $name SET v = vec(id + 200000) WHERE draw(id, $salt, 7) = 1", 'ROLLBACK' if chance(30);
        push @sql, "DELETE FROM $name WHERE id % 97 > 2" if chance(5);
        push @sql, "VACUUM $name" if chance(40);
    }
    push @sql, 'VACUUM (INDEX_CLEANUP ON) ' . $name if chance(20);
    push @sql, "ANALYZE $name" if chance(70);
    if ($table->{view})
    {
        push @sql, "CREATE VIEW $table->{view} WITH (security_barrier = " . pick('on', 'off') . ") AS SELECT * FROM $name WHERE a <> 1 OR b IS NULL";
    }
    return @sql;
}

# ---------------------------------------------------------------- conditions

# Only rows that a plain index scan returns: an index has no NULL, nor for
# cosine a vector of zeros. '' where there are no others, or all are returned.
sub indexed_rows
{
    my ($alias) = @_;
    return () if $case->{all_rows} && chance(80);
    my @conditions;
    push @conditions, "$alias.v IS NOT NULL" if $case->{nulls};
    push @conditions, ($case->{indexed} eq 'vector' ? 'vector_norm' : 'l2_norm') . '(' . expression($alias) . ') > 0' if $case->{operator} eq '<=>';
    return @conditions;
}

# The indexed expression of that row.
sub expression
{
    my ($alias) = @_;
    return "$alias.v" if $case->{expression} eq 'v';
    (my $expression = $case->{expression}) =~ s/\bv\b/$alias.v/;
    return "($expression)";
}

sub distance { my ($alias, $query) = @_; return expression($alias) . " $case->{operator} $query" }

# A query vector: constant, or found when the query starts.
sub query_vector
{
    my $kind = $case->{indexed};
    my $d = $case->{d};
    my $like = sub { $case->{expression} eq 'v' ? $_[0] : $case->{expression} =~ /binary/ ? "binary_quantize($_[0])::bit($d)" : "$_[0]::$kind($d)" };
    my $way = number(100);
    return constant($kind, random_vector_literal($kind, chance(4))) if $way < 60;
    return '(' . $like->('vec(' . int_constant(number(4000)) . ')') . ')' if $way < 75 ;
    return '(SELECT ' . $like->('s.v') . ' FROM o s WHERE s.id = ' . int_constant(between(1, $case->{o}{rows} || 1)) . ')' if $way < 97;
    return constant($kind, "NULL::$kind");
}

# A distance that some rows are below.
sub radius
{
    my $usual = $case->{usual}->($case->{d}, $case->{spread});
    return sprintf '%.4g', $usual * (0.2 + 1.4 * share());
}

# A condition over the columns of that alias. outer: another alias whose columns
# may be used. plain: neither subqueries nor distances.
sub condition
{
    my ($alias, $query, $depth, $outer) = @_;
    my $kind = $depth > 0 ? number(10) : 9;
    my $again = sub { condition($alias, $query, $depth - 1, $outer) };
    return '(' . $again->() . ' AND ' . $again->() . ')' if $kind < 2;
    return '(' . $again->() . ' OR ' . $again->() . ')' if $kind < 4;
    return '(NOT ' . $again->() . ')' if $kind == 4;
    return '(CASE WHEN ' . $again->() . ' THEN ' . $again->() . ' ELSE ' . $again->() . ' END)' if $kind == 5 && chance(50);
    return leaf($alias, $query, $outer);
}

sub comparison { return pick('=', '=', '<', '<=', '>', '>=', '<>') }

sub leaf
{
    my ($t, $query, $outer) = @_;
    my $a = sub { int_constant(number($case->{a})) };
    my $b = sub { int_constant(number($case->{b})) };
    my $name = sub { text_constant('n' . number($case->{names})) };
    my @scalar = (
        sub { "$t.a " . comparison() . ' ' . $a->() },
        sub { "$t.a " . comparison() . ' ' . $a->() },
        sub { "$t.b " . comparison() . ' ' . $b->() },
        sub { "$t.a " . comparison() . " $t.b" },
        sub { "$t.name " . comparison() . ' ' . $name->() },
        sub { "$t.name = " . $name->() },
        sub { "$t.name LIKE " . text_constant(pick('n1%', '%1', 'n_', 'x%')) },
        sub { "$t.a BETWEEN " . $a->() . ' AND ' . $a->() },
        sub { "$t.a IN (" . join(', ', map { $a->() } 1 .. between(1, 5)) . ')' },
        sub { "$t.name IN (" . join(', ', map { $name->() } 1 .. between(1, 3)) . ')' },
        sub { "$t.b = ANY (" . constant('int[]', "'{" . join(',', map { chance(20) ? 'NULL' : number($case->{b}) } 1 .. between(0, 6)) . "}'::int[]") . ')' },
        sub { "$t.b <> ALL (" . constant('int[]', "'{" . join(',', map { number($case->{b}) } 1 .. between(1, 3)) . "}'::int[]") . ')' },
        sub { "$t.b IS " . pick('NULL', 'NOT NULL') },
        sub { "$t.tags IS " . pick('NULL', 'NOT NULL') },
        sub { "$t.a % 10 = " . int_constant(number(10)) },
        sub { "abs($t.a - " . $a->() . ') > ' . $a->() },
        sub { "$t.id " . pick('<', '>', '>=') . ' ' . int_constant(number($case->{t}{rows} + 1)) },
        sub { "coalesce($t.b, " . $b->() . ') > ' . $b->() },
        sub { "$t.b IS DISTINCT FROM " . $b->() },
        sub { "($t.a, $t.b) < (" . $a->() . ', ' . $b->() . ')' },
        sub { "nullif($t.a, " . $a->() . ") > $t.b" },
        sub { "length($t.name) = " . int_constant(between(2, 3)) },
        sub { "is_small($t." . pick('a', 'b') . ')' },
        sub { 'random() >= 0' },
        sub { $case->{reader} ? 'true' : "secret($t.a)" },
        sub { pick('true', 'true', 'false', 'NULL::bool') },
        sub { constant('bool', pick('true', 'false', 'NULL::bool')) },
        sub { "$t.b < " . constant('int', 'NULL::int') },
        # Never true, and an error to compute where it is not asked for.
        sub { "CASE WHEN $t.a > 1000000 THEN 100 / ($t.a - $t.a) ELSE 1 END >= 1" },
        sub { "CASE WHEN $t.a > 1000000 THEN (SELECT s.n FROM two s) ELSE 1 END = 1" },
    );
    push @scalar, $case->{tags} eq 'text[]'
        ? (
            sub { "$t.tags @> " . constant('text[]', "'{t" . number(9) . "}'::text[]") },
            sub { "$t.tags && " . constant('text[]', "'{t" . number(9) . ',t' . number(9) . "}'::text[]") },
            sub { text_constant('t' . number(9)) . " = ANY ($t.tags)" })
        : (
            sub { "$t.tags @> " . constant('jsonb', q('{"k": ) . number(5) . q(}'::jsonb)) },
            sub { "$t.tags->>'k' = " . text_constant(number(5)) },
            sub { "$t.tags->'tags' ? " . text_constant('t' . number(9)) });
    my $other = chance(70) ? $query : undef;
    my @distance = (
        sub { distance($t, $other // query_vector()) . ' ' . pick('<', '<=', '>', '>=') . ' ' . constant('float8', radius()) },
        sub { distance($t, $other // query_vector()) . ' < ' . constant('float8', radius()) },
        sub { '1 - (' . distance($t, $other // $query) . ') ' . pick('>', '>=') . ' ' . constant('float8', sprintf('%.4g', 1 - radius())) },
        sub { distance($t, $query) . ' BETWEEN ' . constant('float8', radius()) . ' AND ' . constant('float8', radius()) },
        sub { "$t.v IS " . pick('NOT NULL', 'NOT NULL', 'NULL') });
    my @sub = (
        sub { 'EXISTS (SELECT FROM o s WHERE s.a = ' . "$t.a" . (chance(50) ? ' AND s.b > ' . $b->() : '') . ')' },
        sub { "NOT EXISTS (SELECT FROM o s WHERE s.name = $t.name AND s.a < " . $a->() . ')' },
        sub { "$t.a IN (SELECT s.a FROM o s WHERE s.b " . pick('IS NULL', 'IS NOT NULL') . ')' },
        sub { "$t.b NOT IN (SELECT s.b FROM o s WHERE s.a < " . $a->() . ')' },
        sub { "$t.a >= (SELECT min(s.a) FROM o s WHERE s.id > " . int_constant(between(0, 20)) . ')' },
        sub { "$t.a > (SELECT avg(s.a) FROM o s WHERE s.name = $t.name)" },
        sub { "$t.b = ANY (ARRAY(SELECT s.b FROM o s ORDER BY s.id LIMIT 3))" },
        sub { "(SELECT count(*) FROM o s WHERE s.a <= $t.b) > 3" });
    my $from = number(100);
    if ($outer && chance(40))
    {
        return pick(
            "$t.a = $outer.a", "$t.b > $outer.b", "$t.name = $outer.name", "$t.id <> $outer.id", "$t.a <= $outer.a",
            "CASE WHEN $t.a > 1000000 THEN 100 / ($outer.id - $outer.id) ELSE 1 END >= 1",
            distance($t, expression($outer)) . ' < ' . constant('float8', radius()));
    }
    return pick(@scalar)->() if $from < 72;
    return pick(@distance)->() if $from < 84;
    return pick(@sub)->();
}

sub has_distance { return $_[0] =~ /<->|<#>|<=>|<\+>|<~>|<%>/ }

# WHERE and its conditions, or nothing.
sub where
{
    my ($alias, $query, %more) = @_;
    my @all = indexed_rows($alias);
    my $partial = $case->{t}{partial};
    push @all, $partial =~ s/\b(a|b|name)\b/$alias.$1/gr if $partial && chance(70);
    push @all, "secret($alias.a)" if $case->{opened};
    push @all, condition($alias, $query, pick(0, 0, 1, 1, 2), $more{outer}) for 1 .. pick(0, 1, 1, 1, 2);
    $case->{bounded} = 1 if grep { has_distance($_) } @all;
    return @all ? ' WHERE ' . join(' AND ', @all) : '';
}

# ---------------------------------------------------------------- queries

# What to select from: the table itself most of the time.
sub source
{
    my $t = $case->{t};
    return $t->{view} if $t->{view} && chance(25);
    return "ONLY $t->{name}" if $t->{form} eq 'children' && chance(10);
    return $t->{name};
}

# A LIMIT clause, or none, and the places that it leaves: [offset, length].
sub limit
{
    my ($offset, $length) = (0);
    my $sql = '';
    my $kind = number(20);
    if ($kind < 16)
    {
        $length = pick(0, 1, 2, 5, 10, 10, 10, 10, 30, 100, 300, 5000);
        my $n = constant('bigint', $length);
        $n = "(SELECT $n)" if chance(10);
        $sql = " LIMIT $n";
    }
    elsif ($kind == 16) { $sql = ' LIMIT NULL' }
    elsif ($kind == 17) { $sql = ' LIMIT ' . constant('bigint', 'NULL::bigint') }
    if (chance(25))
    {
        $offset = pick(0, 1, 3, 10, 40, 1000);
        $sql .= ' OFFSET ' . constant('bigint', $offset);
    }
    return ($sql, [ $offset, $length ]);
}

# More columns of the row: [expression, type].
sub more_columns
{
    my ($alias) = @_;
    my @columns = ([ "$alias.a", 'int' ], [ "$alias.b", 'int' ], [ "$alias.name", 'text' ], [ "$alias.tableoid::regclass::text", 'text' ], [ "length($alias.v::text)", 'int' ], [ "md5(concat($alias.id, $alias.a, $alias.b, $alias.name, $alias.tags, $alias.v))", 'text' ]);
    return map { pick(@columns) } 1 .. pick(0, 0, 1, 2);
}

sub select_list
{
    my (@columns) = @_;
    return join ', ', map { "$columns[$_][0] AS c" . ($_ + 1) } 0 .. $#columns;
}

# Each of these returns a query: sql with constants' places and the LIMIT,
# full (sql without the LIMIT), slice, columns [[expression, type]...], keys:
# the number of leading columns that give the order, 0 where it is free;
# plus, where it matters: ties, modifies, and cut, where the rows that a narrow
# search misses change more than which rows there are.

sub plain_query
{
    my $query = query_vector();
    my @keys = ([ distance('t', $query), 'float8' ]);
    my @order = ('1');
    my $kind = number(100);
    if ($kind < 20) { push @keys, [ 't.id', 'int' ] }
    elsif ($kind < 32) { push @keys, [ distance('t', query_vector()), 'float8' ]; push @keys, [ 't.id', 'int' ] if chance(50) }
    elsif ($kind < 36) { push @keys, [ 't.a', 'int' ] }
    my $by = join ', ', map { chance(50) ? $keys[$_][0] : $_ + 1 } 0 .. $#keys;
    my @columns = (@keys, [ 't.id', 'int' ], more_columns('t'));
    my $from = 'SELECT ' . select_list(@columns) . ' FROM ' . source() . ' t' . where('t', $query) . " ORDER BY $by";
    my ($limit, $slice) = limit();
    my %query = (full => $from, slice => $slice, columns => \@columns, keys => scalar @keys, sql => $from . $limit, explained => 1);
    if (chance(8) && defined $slice->[1] && $slice->[1] > 0)
    {
        $query{ties} = 1;
        $slice->[0] = 0;
        $query{sql} = "$from FETCH FIRST $slice->[1] ROWS WITH TIES";
    }
    elsif (chance(10)) { $query{sql} .= ' FOR ' . pick('UPDATE', 'SHARE', 'NO KEY UPDATE', 'KEY SHARE') . ' OF t' . pick('', ' SKIP LOCKED'); $query{modifies} = 1 }
    return \%query;
}

# The nearest rows, used by something above.
sub wrapped_query
{
    my $query = query_vector();
    my $distance = distance('t', $query);
    my ($limit, $slice) = limit();
    my $inner = 'SELECT ' . "$distance AS d, t.id, t.a, t.b, t.name FROM " . source() . ' t' . where('t', $query) . ' ORDER BY ' . pick($distance, 'd') . ', t.id' . $limit;
    my $kind = pick(qw(cte materialized derived aggregate array in join count));
    my @all = ([ 's.d', 'float8' ], [ 's.id', 'int' ], [ 's.a', 'int' ], [ 's.name', 'text' ]);
    my %query = (columns => \@all, keys => 2, slice => [0]);
    my $list = select_list(@all);
    my $outer = chance(50) ? ' WHERE s.a >= ' . int_constant(number($case->{a})) : '';
    if ($kind eq 'cte') { $query{sql} = "WITH s AS ($inner) SELECT $list FROM s$outer ORDER BY 1, 2" }
    elsif ($kind eq 'materialized') { $query{sql} = "WITH s AS " . pick('MATERIALIZED', 'NOT MATERIALIZED') . " ($inner) SELECT $list FROM s$outer ORDER BY 1, 2" }
    elsif ($kind eq 'derived') { $query{sql} = "SELECT $list FROM ($inner) s$outer ORDER BY s.d, s.id" }
    elsif ($kind eq 'aggregate') { @query{qw(columns keys)} = ([ [ 's.a', 'int' ], [ 'count(*)', 'bigint' ], [ 'min(s.d)', 'float8' ], [ 'max(s.id)', 'int' ] ], 0); $query{sql} = 'SELECT ' . select_list(@{ $query{columns} }) . " FROM ($inner) s$outer GROUP BY s.a" }
    elsif ($kind eq 'array') { @query{qw(columns keys)} = ([ [ "array_to_string(ARRAY(SELECT s.id FROM ($inner) s$outer), ',')", 'text' ] ], 0); $query{sql} = 'SELECT ' . select_list(@{ $query{columns} }) }
    elsif ($kind eq 'count') { @query{qw(columns keys)} = ([ [ 'count(*)', 'bigint' ], [ 'min(s.d)', 'float8' ], [ 'max(s.d)', 'float8' ] ], 0); $query{sql} = 'SELECT ' . select_list(@{ $query{columns} }) . " FROM ($inner) s$outer" }
    elsif ($kind eq 'join') { @query{qw(columns keys)} = ([ [ 's.id', 'int' ], [ 'x.id', 'int' ], [ 's.d', 'float8' ] ], 0); $query{sql} = 'SELECT ' . select_list(@{ $query{columns} }) . " FROM ($inner) s " . pick('JOIN', 'LEFT JOIN') . " o x ON x.a = s.a$outer" }
    else { @query{qw(columns keys)} = ([ [ 't.id', 'int' ], [ 't.a', 'int' ] ], 0); $query{sql} = 'SELECT ' . select_list(@{ $query{columns} }) . ' FROM t WHERE t.id ' . pick('IN', 'IN', 'NOT IN') . " (SELECT s.id FROM ($inner) s$outer)" }
    $query{full} = $query{sql};
    # Then the answer depends on rows that a narrow search may miss.
    $query{cut} = 1 if $limit ne '';
    $query{explained} = 1;
    return \%query;
}

# Ordered by the distance, after a join.
sub join_query
{
    my $query = query_vector();
    my $on = pick('t.a = x.a', 't.b = x.b', 't.name = x.name AND t.a < x.a', 't.a % 5 = x.id', 't.id = x.id');
    my $join = pick('JOIN', 'JOIN', 'LEFT JOIN');
    my @columns = ([ distance('t', $query), 'float8' ], [ 't.id', 'int' ], [ 'x.id', 'int' ], more_columns('t'));
    my $full = 'SELECT ' . select_list(@columns) . ' FROM ' . source() . " t $join o x ON $on" . where('t', $query, outer => $join eq 'JOIN' ? 'x' : undef) . ' ORDER BY ' . pick('1', $columns[0][0]);
    my ($limit, $slice) = limit();
    return { full => $full, sql => $full . $limit, slice => $slice, columns => \@columns, keys => 1, explained => 1 };
}

# The nearest rows of each row of another table.
sub lateral_query
{
    my $distance = distance('t', expression('x'));
    my $n = int_constant(pick(1, 2, 5, 20));
    my $total = chance(50);
    my $limit = chance(90) ? " LIMIT $n" : '';
    $limit .= ' OFFSET ' . int_constant(pick(1, 3)) if chance(15);
    # A NULL query vector gives every row the same distance.
    my $inner = "SELECT $distance AS d, t.id, t.a FROM " . source() . ' t' . where('t', expression('x'), outer => 'x') . " ORDER BY $distance" . ($total ? ', t.id' : '') . $limit;
    my @columns = ([ 'x.id', 'int' ], [ 's.d', 'float8' ], $total || $limit eq '' ? ([ 's.id', 'int' ]) : ());
    my @outer = chance(50) ? ('x.id <= ' . int_constant(between(1, 20))) : ();
    # Each outer row costs the reference a whole sort.
    push @outer, 'x.id <= 25';
    my $sql = 'SELECT ' . select_list(@columns) . ' FROM o x' . pick(', LATERAL', ' CROSS JOIN LATERAL', ' LEFT JOIN LATERAL') . " ($inner) s";
    $sql .= ' ON true' if $sql =~ /LEFT JOIN LATERAL \(/;
    $sql .= ' WHERE ' . join(' AND ', @outer);
    return { sql => $sql, full => $sql, columns => \@columns, keys => 0, cut => $limit ne '', explained => 1 };
}

# A scalar subquery for each row of another table.
sub nearest_query
{
    my $distance = distance('t', expression('x'));
    my $sql = sub { "(SELECT $_[0] FROM " . $case->{t}{name} . ' t' . where('t', expression('x'), outer => 'x') . " ORDER BY $distance, t.id LIMIT 1)" };
    my @columns = ([ 'x.id', 'int' ], [ $sql->('t.id'), 'int' ], chance(50) ? [ $sql->($distance), 'float8' ] : ());
    my $query = 'SELECT ' . select_list(@columns) . ' FROM o x WHERE x.id <= 25';
    return { sql => $query, full => $query, columns => \@columns, keys => 0, cut => 1, explained => 1 };
}

sub union_query
{
    my $query = query_vector();
    my $distance = distance('t', $query);
    my ($limit, $slice) = limit();
    my @columns = ([ 'd', 'float8' ], [ 'id', 'int' ]);
    if (chance(50))
    {
        my $part = sub { "SELECT t.id, t.a, t.v FROM $_[0] t" . where('t', $query) };
        my $other = chance(50) ? 'o' : $case->{t}{name};
        my $all = $part->($case->{t}{name}) . ' UNION ALL ' . $part->($other);
        @columns = ([ $distance, 'float8' ], [ 't.id', 'int' ]);
        my $full = 'SELECT ' . select_list(@columns) . " FROM ($all) t ORDER BY $distance";
        return { sql => $full . $limit, full => $full, slice => $slice, columns => \@columns, keys => 1, explained => 1 };
    }
    my $n = int_constant(pick(1, 5, 10, 50));
    my $part = sub { "(SELECT $distance AS d, t.id FROM $case->{t}{name} t" . where('t', $query) . " ORDER BY $distance, t.id LIMIT $n)" };
    my $full = 'SELECT ' . select_list(@columns) . ' FROM (' . $part->() . pick(' UNION ALL ', ' UNION ', ' EXCEPT ', ' INTERSECT ') . $part->() . ') s ORDER BY 1, 2';
    return { sql => $full . $limit, full => $full, slice => $slice, columns => \@columns, keys => 2, cut => 1, explained => 1 };
}

# Nodes that rely on the order of what they are given.
sub window_query
{
    my $query = query_vector();
    my $distance = distance('t', $query);
    my $where = where('t', $query);
    my ($limit, $slice) = limit();
    my $window = "(ORDER BY $distance)";
    my $function = pick(
        [ "rank() OVER $window", 'bigint' ], [ "dense_rank() OVER $window", 'bigint' ], [ "count(*) OVER $window", 'bigint' ], [ "sum(t.a) OVER $window", 'bigint' ],
        [ "percent_rank() OVER $window", 'float8' ], [ "row_number() OVER (ORDER BY $distance, t.id)", 'bigint' ], [ "lag(t.id) OVER (ORDER BY $distance, t.id)", 'int' ],
        [ "first_value($distance) OVER $window", 'float8' ], [ "rank() OVER (PARTITION BY t.name ORDER BY $distance)", 'bigint' ], [ "rank() OVER (ORDER BY $distance DESC)", 'bigint' ]);
    my @columns = ([ $distance, 'float8' ], [ 't.id', 'int' ], $function);
    my $from = source();
    if (chance(30))
    {
        # A LIMIT of the window's own; the planner may stop the scan by it.
        my $full = 'SELECT ' . select_list([ 's.d', 'float8' ], [ 's.id', 'int' ], [ 's.r', 'bigint' ]) . " FROM (SELECT $distance AS d, t.id, " . pick('rank()', 'dense_rank()') . " OVER $window AS r FROM $from t$where) s WHERE s.r <= " . int_constant(pick(1, 5, 20));
        return { sql => $full, full => $full, columns => [ [ '', 'float8' ], [ '', 'int' ], [ '', 'bigint' ] ], keys => 0, cut => 1, explained => 1 };
    }
    my $full = 'SELECT ' . select_list(@columns) . " FROM $from t$where ORDER BY $distance";
    # What a search missed shows in the others' ranks.
    return { sql => $full . $limit, full => $full, slice => $slice, columns => \@columns, keys => 1, cut => $limit ne '', explained => 1 };
}

sub group_query
{
    my $query = query_vector();
    my $distance = distance('t', $query);
    my $rest = ' FROM ' . source() . ' t' . where('t', $query);
    my ($limit, $slice) = limit();
    my @d = ([ $distance, 'float8' ]);
    my ($columns, $full, $keys) = @{ pick(
        [ \@d, 'SELECT DISTINCT ' . select_list(@d) . "$rest ORDER BY 1", 1 ],
        [ [ @d, [ 'count(*)', 'bigint' ], [ 'min(t.id)', 'int' ] ], undef, 1 ],
        [ [ @d, [ 'sum(t.a)', 'bigint' ] ], undef, 1 ],
        [ [ @d, [ 't.id', 'int' ] ], 'SELECT DISTINCT ON (1) ' . select_list(@d, [ 't.id', 'int' ]) . "$rest ORDER BY 1, 2", 2 ],
        [ [ @d, [ 't.name', 'text' ] ], 'SELECT DISTINCT ' . select_list(@d, [ 't.name', 'text' ]) . "$rest ORDER BY 1, 2", 2 ]) };
    $full //= 'SELECT ' . select_list(@$columns) . "$rest GROUP BY 1" . (chance(30) ? ' HAVING count(*) > 1' : '') . ' ORDER BY 1';
    return { sql => $full . $limit, full => $full, slice => $slice, columns => $columns, keys => $keys, cut => $limit ne '', explained => 1 };
}

# Two ordered scans side by side.
sub merge_query
{
    my $query = query_vector();
    my $other = chance(50) ? $query : query_vector();
    my @columns = ([ distance('t', $query), 'float8' ], [ 'count(*)', 'bigint' ]);
    my $right = "SELECT " . distance('t', $other) . " AS d FROM $case->{t}{name} t" . where('t', $other);
    my $sql = 'SELECT ' . select_list(@columns) . " FROM $case->{t}{name} t JOIN ($right) y ON y.d = " . $columns[0][0] . where('t', $query) . ' GROUP BY 1';
    return { sql => $sql, full => $sql, columns => \@columns, keys => 0, settings => [ 'enable_hashjoin = off', 'enable_nestloop = off' ], explained => 1 };
}

# More rows, or fewer, than the scan gives.
sub set_query
{
    my $query = query_vector();
    my @columns = ([ distance('t', $query), 'float8' ], [ 't.id', 'int' ], [ pick("generate_series(1, t.a % 3)", $case->{tags} eq 'text[]' ? 'unnest(t.tags)' : 'jsonb_object_keys(t.tags)') . '::text', 'text' ]);
    my $full = 'SELECT ' . select_list(@columns) . ' FROM ' . source() . ' t' . where('t', $query) . ' ORDER BY ' . $columns[0][0];
    my ($limit, $slice) = limit();
    return { sql => $full . $limit, full => $full, slice => $slice, columns => \@columns, keys => 1, explained => 1 };
}

# Ternary partitioning: where p, where not p and where p is unknown are all.
sub partition_query
{
    my $query = query_vector();
    my @columns = ([ distance('t', $query), 'float8' ], [ 't.id', 'int' ], more_columns('t'));
    my @known = indexed_rows('t');
    my $p = condition('t', $query, pick(0, 1, 2, 3));
    $case->{bounded} = 1 if has_distance($p);
    my $from = source();
    my $part = sub { 'SELECT ' . select_list(@columns) . " FROM $from t" . (@known || @_ ? ' WHERE ' . join(' AND ', @_, @known) : '') . ' ORDER BY ' . $columns[0][0] };
    my $limit = ' LIMIT ' . constant('bigint', 100000);
    return { parts => [ map { $part->($_) . $limit } "($p)", "NOT ($p)", "($p) IS NULL" ], full => $part->(), columns => \@columns, keys => 0, explained => 1 };
}

# Changes by what a search finds, taken back.
sub change_query
{
    my $query = query_vector();
    my $distance = distance('t', $query);
    my $inner = "SELECT t.id FROM $case->{t}{name} t" . where('t', $query) . " ORDER BY $distance, t.id LIMIT " . int_constant(pick(1, 5, 30));
    my $sql = pick(
        "UPDATE $case->{t}{name} t SET b = coalesce(b, 0) + 1, v = vec(t.id + 300000) WHERE t.id IN ($inner) RETURNING t.id, t.b",
        "DELETE FROM $case->{t}{name} t WHERE t.id IN ($inner) RETURNING t.id, t.b",
        "WITH gone AS (DELETE FROM $case->{t}{name} t WHERE t.id = ANY (ARRAY($inner)) RETURNING t.id, t.b) SELECT id, b FROM gone");
    return { sql => $sql, full => $sql, columns => [ [ '', 'int' ], [ '', 'int' ] ], keys => 0, cut => 1, modifies => 1, rolled_back => 1 };
}

# ---------------------------------------------------------------- ways to run a query

# Each gives the statements under test of a query. A statement that starts with
# "-- quiet" has no rows to be judged, one with "-- may fail" not even an error;
# one with "-- other session" is run by another, meanwhile.

# Other values for the same parameters, for calls that are not judged.
sub other_value
{
    my ($type, $literal) = @{ $_[0] };
    return pick($literal, $literal, '7', '0') if $type eq 'int' && $literal !~ /^0$/;
    return pick($literal, '10', 'NULL') if $type eq 'bigint';
    return $literal;
}

sub run_prepared
{
    my ($q) = @_;
    my ($sql, @used) = with_names($q->{sql}, sub { '$' . $_[0] });
    return $sql if !@used;
    my @statements = ('DEALLOCATE ALL', 'PREPARE p (' . join(', ', map { $_->[0] } @used) . ") AS $sql");
    my $arguments = join ', ', map { $_->[1] } @used;
    push @{ $q->{settings} }, 'plan_cache_mode = ' . pick('force_generic_plan', 'force_custom_plan', 'force_generic_plan', 'auto');
    if ($q->{settings}[-1] =~ /auto/) { push @statements, '-- quiet' . "\nEXECUTE p (" . join(', ', map { other_value($_) } @used) . ')' for 1 .. 6 }
    return (@statements, "EXECUTE p ($arguments)");
}

# In a function: arguments, variables or fields of a record.
sub run_in_function
{
    my ($q) = @_;
    my $way = pick('arguments', 'variables', 'record', 'loop', 'cursor');
    my ($sql, @used) = with_names($q->{sql}, sub { ($way eq 'record' ? 'r.x' : 'x') . $_[0] });
    my $typed = sub { $_[0] eq 'bit' ? "bit($case->{d})" : $_[0] };
    my @columns = @{ $q->{columns} };
    my $returns = join ', ', map { "o" . ($_ + 1) . " $columns[$_][1]" } 0 .. $#columns;
    my $parameters = $way eq 'variables' || $way eq 'record' ? '' : join ', ', map { "x$_ $used[$_ - 1][0]" } 1 .. @used;
    my $arguments = $parameters eq '' ? '' : join ', ', map { $_->[1] } @used;
    my $declare = $way eq 'variables' ? join('', map { "x$_ " . $typed->($used[ $_ - 1 ][0]) . " := $used[$_ - 1][1]; " } 1 .. @used) : $way eq 'record' ? 'r record; ' : '';
    my $body;
    my $give = join ' ', map { "o" . ($_ + 1) . " := one.c" . ($_ + 1) . ';' } 0 .. $#columns;
    if ($way eq 'loop') { $declare = 'one record; '; $body = "FOR one IN $sql LOOP $give RETURN NEXT; END LOOP;" }
    elsif ($way eq 'cursor') { $declare = "one record; many CURSOR FOR $sql; "; $body = "OPEN many; LOOP FETCH many INTO one; EXIT WHEN NOT FOUND; $give RETURN NEXT; END LOOP; CLOSE many;" }
    else { $body = "RETURN QUERY $sql;" }
    $body = 'SELECT ' . join(', ', map { "$used[$_ - 1][1] AS x$_" } 1 .. @used) . ' INTO r; ' . $body if $way eq 'record' && @used;
    push @{ $q->{settings} }, 'plan_cache_mode = ' . pick('force_generic_plan', 'force_custom_plan', 'auto');
    my $call = "SELECT * FROM f($arguments)";
    my @before = map { "-- quiet\nSELECT * FROM f(" . ($arguments eq '' ? '' : join(', ', map { other_value($_) } @used)) . ')' } 1 .. ($q->{settings}[-1] =~ /auto/ ? 6 : 0);
    my $created = "CREATE FUNCTION f($parameters) RETURNS TABLE ($returns) LANGUAGE plpgsql AS \$f\$ #variable_conflict use_column\nDECLARE $declare BEGIN $body END \$f\$";
    return ('DROP FUNCTION IF EXISTS f', $created, @before, $call);
}

# By a cursor that a function of the table's owner opens, for a user who has no
# right to what the query calls.
sub run_opened
{
    my ($q) = @_;
    my $open = 'CREATE FUNCTION f(many refcursor) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER AS $f$ BEGIN OPEN many FOR ' . with_literals($q->{sql}) . '; RETURN many; END $f$';
    $q->{moves} = [ [ 'fetch', 2 ], [ 'fetch', 'ALL' ] ];
    return ('BEGIN', 'DROP FUNCTION IF EXISTS f', $open, 'SET LOCAL ROLE random_reader', "-- quiet\nSELECT f('c')", 'FETCH 2 FROM c', 'FETCH ALL FROM c', 'ROLLBACK');
}

# By a cursor: only lists, whose places the fetches then choose.
sub run_cursor
{
    my ($q) = @_;
    return run_opened($q) if $case->{opened};
    my $hold = chance(30);
    my $scroll = pick('', '', ' NO SCROLL', ' SCROLL');
    $scroll = '' if $q->{modifies};
    my @statements = ('BEGIN', "DECLARE c" . pick('', ' INSENSITIVE') . "$scroll CURSOR " . ($hold ? 'WITH' : 'WITHOUT') . ' HOLD FOR ' . with_literals($q->{sql}));
    $statements[-1] =~ s/ INSENSITIVE// if $q->{modifies};
    $statements[-1] =~ s/ WITH HOLD/ WITHOUT HOLD/ and $hold = 0 if $q->{modifies};
    push @statements, "COMMIT" if $hold && chance(70);
    my @moves;
    my $vacuum_at = chance(20) ? 2 : 0;
    for my $i (1 .. between(1, 5))
    {
        push @statements, "-- other session\nVACUUM (INDEX_CLEANUP ON) random_$case->{seed}.$case->{t}{name}" if $i == $vacuum_at;
        # FETCH 0 is the row that the cursor is on, once more.
        my $n = pick($scroll eq ' SCROLL' ? 0 : 1, 1, 3, 10, 50);
        my @choice = ([ 'fetch', $n ], [ 'fetch', $n ], [ 'fetch', $n ], [ 'move', $n ], [ 'fetch', 'ALL' ]);
        push @choice, [ 'back', $n ], [ 'back', $n ] if $scroll eq ' SCROLL';
        my $move = pick(@choice);
        push @moves, $move;
        push @statements, { fetch => 'FETCH', move => 'MOVE', back => 'FETCH BACKWARD' }->{ $move->[0] } . " $move->[1] FROM c";
    }
    push @statements, 'CLOSE c';
    push @statements, 'COMMIT' if !grep { $_ eq 'COMMIT' } @statements;
    $q->{moves} = \@moves;
    return @statements;
}

# ---------------------------------------------------------------- settings

# Settings under which the query is tested. exact: the graph search has to see all.
sub test_settings
{
    my ($exact) = @_;
    my @settings = ('hnsw.iterative_scan = strict_order');
    my $ef = $exact ? 1000 : pick(5, 40, 100, 200, 1000);
    push @settings, "hnsw.ef_search = $ef";
    push @settings, 'hnsw.max_scan_tuples = ' . ($exact ? pick(2000, 20000, 1000000) : pick(1, 50, 500, 20000, 20000)) if chance(40);
    push @settings, 'work_mem = ' . pick("'64kB'", "'256kB'", "'1MB'", "'4MB'") if chance(40);
    push @settings, map { "$_ = off" } grep { chance(70) } qw(enable_seqscan enable_sort);
    push @settings, map { "$_ = off" } grep { chance(30) } qw(enable_bitmapscan enable_incremental_sort);
    push @settings, map { "$_ = off" } grep { chance(8) } qw(enable_indexscan enable_indexonlyscan enable_nestloop enable_hashjoin enable_mergejoin enable_hashagg enable_material enable_memoize);
    push @settings, 'random_page_cost = ' . pick(0.01, 1) if chance(30);
    push @settings, 'jit = on', 'jit_above_cost = 0' if chance(4);
    push @settings, chance(8) ? ('max_parallel_workers_per_gather = 2', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0') : 'max_parallel_workers_per_gather = 0';
    push @settings, 'cursor_tuple_fraction = ' . pick(0.001, 1) if chance(20);
    my $strategy = pick(qw(auto auto graph bitmap exact));
    my $custom = $case->{all_rows} ? 'on' : 'off';
    push @settings, "hnsw.custom_scan = $custom" if $case->{known}{'hnsw.custom_scan'};
    push @settings, "hnsw.scan_strategy = $strategy" if $case->{known}{'hnsw.scan_strategy'};
    return ($ef, @settings);
}

sub reference_settings
{
    return (
        'enable_indexscan = off', 'enable_indexonlyscan = off', 'enable_bitmapscan = off', 'enable_seqscan = on', 'enable_sort = on', 'max_parallel_workers_per_gather = 0', 'jit = off',
        ($case->{known}{'hnsw.custom_scan'} ? 'hnsw.custom_scan = off' : ()));
}

# ---------------------------------------------------------------- a seed's case

# A plan whose parameter comes with another type than it was made for: an error,
# or no row, but the server lives.
sub changed_type_query
{
    my $query = with_literals(query_vector());
    my ($column, @values) = @{ pick([ 'a', '7', "'7'::text", '7::bigint' ], [ 'name', "'n1'::text", '7', "'n1'::name" ], $query =~ /^B?'/ ? [ 'v', $query, "'x'::text", '5' ] : ()) };
    my $condition = $column eq 'v' ? 'true' : "t.$column = r.x";
    my $order = distance('t', $column eq 'v' ? 'r.x' : $query);
    my $branch = join ' ELSIF ', map { "mode = $_ THEN SELECT $values[$_] AS x INTO r;" } 0 .. $#values;
    my $function = 'CREATE FUNCTION f(mode int) RETURNS SETOF int LANGUAGE plpgsql AS $f$ DECLARE r record; BEGIN IF ' . "$branch END IF; RETURN QUERY SELECT t.id FROM $case->{t}{name} t WHERE " . join(' AND ', $condition, indexed_rows('t')) . " ORDER BY $order LIMIT 5; END \$f\$";
    my $call = sub { ('SAVEPOINT before', "-- may fail\nSELECT * FROM f($_[0])", 'ROLLBACK TO before') };
    my @empty = chance(50) ? "DELETE FROM $case->{t}{name}" : ();
    my @test = ('BEGIN', 'DROP FUNCTION IF EXISTS f', $function, (map { "-- quiet\nSELECT * FROM f(0)" } 1 .. 8), @empty, $call->(1), $call->(2), 'SELECT count(*) <= 5 FROM f(0)', 'ROLLBACK');
    return { test => \@test, reference => ['SELECT true'], keys => 0, columns => [ [ '', 'bool' ] ], settings => [] };
}

my @shapes = (
    (\&plain_query) x 30, (\&wrapped_query) x 9, (\&join_query) x 9, (\&lateral_query) x 9, (\&nearest_query) x 3, (\&union_query) x 5, (\&window_query) x 7, (\&group_query) x 6, (\&merge_query) x 2,
    (\&set_query) x 2, (\&partition_query) x 12, (\&change_query) x 3, (\&changed_type_query) x 2);

sub make_query
{
    my ($number) = @_;
    $case->{constants} = [];
    # Some queries run with custom_scan, and then with rows that no index has.
    my $custom = chance(70);
    $case->{all_rows} = $case->{known}{'hnsw.custom_scan'} && $custom;
    # How the query will be run decides what may stand in it.
    my $way = pick(qw(plain plain plain prepared prepared function cursor));
    $case->{opened} = $way eq 'cursor' && !$case->{reader} && chance(20);
    $case->{bounded} = 0;
    my $q = pick(@shapes)->();
    # A narrow search misses rows within a distance, too, with and without LIMIT.
    $q->{cut} = 1 if $case->{bounded};
    $q->{settings} //= [];
    my $exact = $case->{t}{rows} <= 900 && chance(75);
    if (!$q->{test})
    {
        $way = 'plain' if $q->{parts} || $q->{rolled_back} || $way eq 'cursor' && (!$q->{keys} || $q->{ties}) || $way eq 'function' && $q->{sql} =~ /^(UPDATE|DELETE)|^WITH gone/;
        my $test = [ $q->{parts} ? map { with_literals($_) } @{ $q->{parts} }
            : $way eq 'prepared' ? run_prepared($q) : $way eq 'function' ? run_in_function($q) : $way eq 'cursor' ? run_cursor($q) : with_literals($q->{sql}) ];
        my $reference = [ with_literals($q->{full}) ];
        my @before = $way ne 'cursor' && chance(10) ? changes() : ();
        if (@before || $q->{rolled_back}) { $_ = [ 'BEGIN', @before, @$_, 'ROLLBACK' ] for $test, $reference }
        $q->{explain} = with_literals($q->{parts} ? $q->{parts}[0] : $q->{sql}) if $q->{explained} && $way ne 'function';
        @{$q}{qw(test reference)} = ($test, $reference);
    }
    my ($ef, @settings) = test_settings($exact);
    # A parallel plan computes at its start what others compute when they need it.
    @settings = ((grep { !/parallel/ } @settings), 'max_parallel_workers_per_gather = 0') if "@{ $q->{test} }" =~ /FROM two/;
    $q->{settings} = [ @settings, @{ $q->{settings} } ];
    $q->{reference_settings} = [ reference_settings() ];
    @{$q}{qw(number exact ef)} = ($number, $exact, $ef);
    return $q;
}

# Changes in the same transaction, before the query, in both forms.
sub changes
{
    my $t = $case->{t}{name};
    my $low = number($case->{t}{rows} + 1);
    my @changes = (
        "DELETE FROM $t WHERE id BETWEEN $low AND " . ($low + number(300)), "UPDATE $t SET b = 0 WHERE id % 13 = 1", insert($case->{t}, 5001, 5001 + number(20)),
        "UPDATE $t SET v = vec(id + 400000) WHERE id % 17 = 1");
    return map { pick(@changes) } 1 .. between(1, 2);
}

# known: which of the settings of hnsw. the server has.
sub random_case
{
    my ($seed, %known) = @_;
    start_chance($seed);
    $case = { seed => $seed, known => \%known, constants => [] };
    my ($indexed, $opclass, $operator, $usual) = @{ pick(@opclasses) };
    my ($base, $d) = ($indexed, pick(1, 2, 3, 3, 4, 7, 8, 12, 16, 24, 33, 40));
    my $expression = 'v';
    if ($indexed ne 'vector' && chance(25)) { $base = 'vector'; $expression = $indexed eq 'bit' ? "binary_quantize(v)::bit($d)" : "v::$indexed($d)" }
    @{$case}{qw(indexed opclass operator usual base d expression)} = ($indexed, $opclass, $operator, $usual, $base, $d, $expression);
    $case->{tags}   = pick('text[]', 'text[]', 'jsonb');
    $case->{zeros}  = pick(0, 0, 5, 40);
    $case->{nulls}  = pick(0, 0, 3, 20);
    $case->{a}      = pick(3, 10, 10, 50, 500);
    $case->{b}      = pick(2, 10, 100);
    $case->{names}  = pick(2, 4, 30);
    $case->{all_indexed} = chance(70);
    my $rows = pick(0, 1, 2, 30, 100, 300, 300, 500, 700, 900, 900, 1500, 2000, 3000);
    $case->{t} = {
        name => 't', rows => $rows, form => pick((('plain') x 6), qw(list hash range children)), nulls => $case->{nulls}, distinct => pick(0, 0, 0, 1, 20, 200),
        partial => chance(20) ? pick('a < ' . int($case->{a} * 0.7 + 1), 'b IS NOT NULL', "name <> 'n1'", 'b > 0') : '', view => chance(40) ? 'tv' : '' };
    $case->{o} = { name => 'o', rows => pick(0, 1, 8, 25, 60), form => 'plain', nulls => pick(0, 0, 4), distinct => 0, no_vector_index => chance(60), partial => '' };
    $case->{nulls} ||= $case->{o}{nulls};
    # The queries of some seeds are those of a user who sees only some rows of t.
    $case->{reader} = chance(12);
    my @setup = (
        q{DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'random_reader') THEN CREATE ROLE random_reader; END IF; END $$},
        data_functions(), make_table($case->{t}), make_table($case->{o}), "GRANT ALL ON SCHEMA random_$seed TO random_reader");
    if ($case->{reader})
    {
        my $policy = pick('a % 5 <> 2', 'is_small(b)', "name <> 'n0'", 'EXISTS (SELECT FROM o WHERE o.a = t.a)');
        push @setup, "GRANT ALL ON ALL TABLES IN SCHEMA random_$seed TO random_reader", 'ALTER TABLE t ENABLE ROW LEVEL SECURITY', "CREATE POLICY visible ON t USING ($policy) WITH CHECK (true)";
    }
    my @queries = map { make_query($_) } 1 .. 40;
    return { seed => $seed, reader => $case->{reader}, setup => \@setup, queries => \@queries };
}

# ---------------------------------------------------------------- the script

# The script for psql: every query in both forms between lines that begin with
# "#random", which the judge reads. From: the first query's number; only: the
# only one. Other queries' changes are all taken back.
sub case_script
{
    my ($case, %options) = @_;
    my $schema = "random_$case->{seed}";
    my $start = "RESET ROLE; RESET ALL; SET search_path = $schema, public; SET client_min_messages = error; SET statement_timeout = '60s'; SET jit = off;" . ($case->{reader} ? ' SET ROLE random_reader;' : '');
    my $script = "\\set VERBOSITY sqlstate\n\\pset null NULL\n\\pset format unaligned\n\\pset tuples_only on\n\\setenv PGDATABASE :DBNAME\n\\setenv PGHOST :HOST\n\\setenv PGPORT :PORT\n\\setenv PGUSER :USER\nLOAD 'omendb';\nSET client_min_messages = error;\n";
    if (!$options{from})
    {
        $script .= "DROP SCHEMA IF EXISTS $schema CASCADE;\nCREATE SCHEMA $schema;\n$start RESET ROLE;\n";
        $script .= "$_;\n\\echo #random made :SQLSTATE :LAST_ERROR_MESSAGE\n" for @{ $case->{setup} };
    }
    my $statement = sub {
        my ($sql) = @_;
        my $kind = $sql =~ s/^-- (quiet|may fail|other session)\n// ? $1 : '';
        return "\\! psql -XAtq -c '$sql'\n" if $kind eq 'other session';
        return $sql . ($kind ? "\n\\g /dev/null\n" : ";\n") . ($kind eq 'may fail' ? '' : "\\echo #random state :SQLSTATE :LAST_ERROR_MESSAGE\n");
    };
    for my $q (@{ $case->{queries} })
    {
        next if $options{from} && $q->{number} < $options{from} || $options{only} && $q->{number} != $options{only};
        my $settings = join ' ', map { "SET $_;" } @{ $q->{settings} };
        $script .= "\\echo #random query $q->{number}\n$start $settings\n";
        $script .= "\\echo #random plan\nEXPLAIN (COSTS OFF) $q->{explain};\n" if $q->{explain};
        # A transaction that failed within is still open.
        my $form = sub { join('', map { $statement->($_) } @_) . ($_[0] eq 'BEGIN' && $_[-1] ne 'ROLLBACK' ? "ROLLBACK;\n" : '') };
        $script .= "\\echo #random test\n" . $form->(@{ $q->{test} });
        $script .= "$start " . join(' ', map { "SET $_;" } @{ $q->{reference_settings} }) . "\n";
        $script .= "\\echo #random reference\n" . $form->(@{ $q->{reference} }) . "\\echo #random end\n";
    }
    $script .= "RESET ROLE; RESET ALL;\n";
    return $script;
}

# What the judge found, with what repeats it.
sub describe_failure
{
    my ($seed, $failure) = @_;
    my $q = $failure->{query};
    my $text = "  seed $seed" . ($q ? ", query $q->{number}" : '') . ": $failure->{problem}\n";
    return $text if !$q;
    $text .= "    test/random/run $seed $q->{number}\n    under test: " . join(' ', map { "SET $_;" } @{ $q->{settings} }) . "\n";
    $text .= "        $_;\n" for map { s/^-- (quiet|may fail)\n//r =~ s/^-- other session\n(.*)/-- by another session: $1/r } @{ $q->{test} };
    $text .= "    reference:\n";
    $text .= "        $_;\n" for @{ $q->{reference} };
    $text .= $failure->{plan} =~ s/^/      | /mgr if $failure->{plan};
    return $text;
}

1;
