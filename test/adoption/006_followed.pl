# Ways by which what an index keeps comes from a distance or norm: casts and views that functions
# use, whether their bodies are parsed or strings. And which indexes are not taken for such. Needs
# pgvector and `make install-adoption`: TESTS=adoption.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use OmendbTest;

use Test::More;

my $node  = start_node('followed');
my $adopt = doc_sql('from-pgvector.md', 'in place');

# The indexes that adoption takes out of use, and the materialized views that it names.
sub adopted
{
    my ($db) = @_;
    my ($stdout, $stderr) = ('', '');
    $node->psql($db, $adopt, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    unlike($stderr, qr/ERROR/, "$db: adoption");
    return (
        $node->safe_psql($db, q{SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid::regclass::text COLLATE "C") FROM pg_index WHERE NOT indisvalid}),
        join ' ', sort $stderr =~ /^(?:DETAIL:  )?materialized view public\.(\w+):/mg);
}

sub new_database
{
    my ($name, $sql) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name");
    $node->safe_psql($name, "SET client_min_messages = error; CREATE EXTENSION vector; CREATE TABLE t (id int PRIMARY KEY, v vector(3), name text); INSERT INTO t SELECT i, ARRAY[i, i % 7, 1], 'n' || i FROM generate_series(1, 20) i; $sql");
    return;
}

# ---------------------------------------------------------------- casts

# Of each context, and what functions may do without a word of a type or a function.
my $functions = q{
    CREATE FUNCTION by_name(v vector) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT cast($1 AS float8)';
    CREATE FUNCTION by_sign(x t) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN x.v::float8; END';
    CREATE FUNCTION upper_name(x text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN upper(x); END';
    CREATE FUNCTION parsed_name(x text) RETURNS text IMMUTABLE LANGUAGE sql RETURN upper(x)::text;
    CREATE INDEX x_name ON t (by_name(v)); CREATE UNIQUE INDEX x_sign ON t (by_sign(t)); CREATE INDEX x_expression ON t ((v::float8));
    CREATE INDEX ok_v ON t (v); CREATE INDEX ok_upper ON t (upper(name)); CREATE INDEX ok_parsed ON t (parsed_name(name))};
my $assigning = q{
    CREATE FUNCTION by_variable(x t) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'DECLARE n float8; BEGIN n := x.v; RETURN n; END';
    CREATE FUNCTION by_result(vector) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT $1';
    CREATE INDEX x_variable ON t (by_variable(t)); CREATE INDEX x_result ON t (by_result(v))};
my $implicit = q{
    CREATE FUNCTION by_argument(x t) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN sqrt(x.v); END';
    CREATE INDEX x_argument ON t (by_argument(t))};
for my $case ([ 'explicit', '', $functions, 'x_expression x_name x_sign' ], [ 'assignment', 'AS ASSIGNMENT', "$functions; $assigning; CREATE INDEX x_any_text ON t (upper_name(name))", 'x_any_text x_expression x_name x_result x_sign x_variable' ],
    [ 'implicit', 'AS IMPLICIT', "$functions; $assigning; $implicit; CREATE INDEX x_any_text ON t (upper_name(name))", 'x_any_text x_argument x_expression x_name x_result x_sign x_variable' ])
{
    my ($context, $clause, $sql, $expected) = @$case;
    $sql .= '; CREATE INDEX ok_any_text ON t (upper_name(name))' if $context eq 'explicit';
    new_database($context, "CREATE CAST (vector AS float8) WITH FUNCTION vector_norm(vector) $clause; $sql");
    is((adopted($context))[0], $expected, "a cast, $context");
}
# By a function of the user's.
new_database('indirect', q{CREATE FUNCTION half_norm(vector) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.vector_norm($1) / 2; END'; CREATE CAST (vector AS float8) WITH FUNCTION half_norm(vector)} . ";$functions; CREATE INDEX ok_any_text ON t (upper_name(name))");
is((adopted('indirect'))[0], 'x_expression x_name x_sign', 'a cast by a function that calls one');
# One that computes no distance is nothing to follow.
new_database('dimensions', q{CREATE FUNCTION dims(vector) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT public.vector_dims($1) * 1.0::float8'; CREATE CAST (vector AS float8) WITH FUNCTION dims(vector) AS IMPLICIT;}
    . "$functions; $assigning; $implicit" =~ s/\bx_(?=\w+ ON)/ok_/gr =~ s/UNIQUE //r);
is((adopted('dimensions'))[0], '', 'a cast of another kind');

# ---------------------------------------------------------------- views

new_database('views', q{
    CREATE TABLE u AS SELECT * FROM t;
    CREATE VIEW norms AS SELECT id, vector_norm(v) AS n FROM u; CREATE VIEW "Norms again" AS SELECT * FROM norms; CREATE MATERIALIZED VIEW kept AS SELECT * FROM "Norms again";
    CREATE VIEW dims AS SELECT id, vector_dims(v) AS n FROM u;
    CREATE FUNCTION parsed(i int) RETURNS float8 IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT n FROM "Norms again" WHERE id = i; END;
    CREATE FUNCTION text_of(i int) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT n FROM public.NORMS WHERE id = i); END';
    CREATE FUNCTION text_of_kept(i int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT n FROM public.kept WHERE id = i';
    CREATE FUNCTION dims_of(i int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT n FROM public.dims WHERE id = i';
    CREATE VIEW by_function AS SELECT id, parsed(id) AS n FROM u; CREATE MATERIALIZED VIEW far AS SELECT * FROM by_function; CREATE MATERIALIZED VIEW same AS SELECT * FROM dims;
    CREATE FUNCTION text_far(i int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT n FROM public.by_function WHERE id = i';
    CREATE INDEX x_parsed ON t (parsed(id)); CREATE INDEX x_text ON t (text_of(id)); CREATE INDEX x_kept ON t (text_of_kept(id)); CREATE INDEX x_far ON t (text_far(id)); CREATE INDEX ok_dims ON t (dims_of(id))});
my ($indexes, $views) = adopted('views');
is($indexes, 'x_far x_kept x_parsed x_text', 'functions that read views');
is($views, 'far kept', 'materialized views that read functions that read views');

$node->stop;
done_testing();
