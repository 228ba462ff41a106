# The errors that programs match on: test/compat/messages.tsv.
#
# With OMENDB_CASES_EXTENSION=vector the same of pgvector, which shows that the list is
# right (TESTS=pgvector).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node      = start_node('messages');
my $extension = $ENV{OMENDB_CASES_EXTENSION} // 'omendb';
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION $extension;
CREATE TABLE rows (v vector(2), h halfvec(2), b bit(2), s sparsevec(2));
INSERT INTO rows VALUES ('[1,2]', '[1,2]', B'10', '{1:1}/2');
CREATE INDEX ON rows USING hnsw (v vector_l2_ops);
CREATE INDEX ON rows USING hnsw (h halfvec_l2_ops);
CREATE INDEX ON rows USING hnsw (b bit_hamming_ops);
CREATE INDEX ON rows USING hnsw (s sparsevec_l2_ops);
CREATE TABLE lists AS SELECT v, h, b FROM rows;
CREATE INDEX ON lists USING ivfflat (v vector_l2_ops);
CREATE INDEX ON lists USING ivfflat (h halfvec_l2_ops);
CREATE INDEX ON lists USING ivfflat (b bit_hamming_ops);
CREATE TABLE no_dimensions (v vector, h halfvec, b varbit);

-- a value in its binary form, as COPY takes it
CREATE FUNCTION receive(type text, value bytea) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
    file text := current_setting('data_directory') || '/received';
    object oid;
BEGIN
    object := lo_from_bytea(0, '\\x5047434f50590aff0d0a0000000000000000000001' || int4send(length(value)) || value || '\\xffff');
    PERFORM lo_export(object, file);
    EXECUTE format('CREATE TEMP TABLE received (x %s)', type);
    EXECUTE format('COPY received FROM %L (FORMAT binary)', file);
END \$\$;

CREATE FUNCTION said(statement text) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off AS \$\$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END \$\$;
SQL

check_pgvector($node, 'postgres') if $extension eq 'vector';

my @cases = map { [ split /\t/, $_, -1 ] } grep { !/^#/ } split /\n/, slurp_file(compat_dir() . '/messages.tsv');
cmp_ok(scalar @cases, '>=', 100, 'messages');
my @said = split /\n/, $node->safe_psql('postgres', join "\n", map { "SELECT said(\$statement\$$_->[2]\$statement\$);" } @cases);
is(scalar @said, scalar @cases, 'each says one line');
for my $n (0 .. $#cases)
{
    my ($state, $message, $statement) = @{ $cases[$n] };
    is($said[$n], "$state $message", $statement);
}

$node->stop;
done_testing();
