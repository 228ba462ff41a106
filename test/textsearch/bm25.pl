# docs/hybrid.md, "BM25": the text list of hybrid search by pg_textsearch's index.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use OmendbTest;

use Test::More;

my $node = start_node('bm25', "shared_preload_libraries = 'pg_textsearch'\nautovacuum = off\njit = off\nfsync = off\n");
my $db   = 'bm25';
create_omendb($node, $db);
my $data = source_root() . '/demo/packages.copy.gz';
$node->safe_psql($db, "CREATE TABLE packages (package text, section text, installed_size_kb int, description text, embedding halfvec(384));\n\\copy packages FROM PROGRAM 'gzip -dc $data' (FORMAT binary)");
$node->safe_psql($db, doc_sql('hybrid.md', 'tables'));
$node->safe_psql($db, "INSERT INTO documents (section, body, embedding) SELECT section, package || ': ' || description, embedding FROM packages ORDER BY package");
$node->safe_psql($db, doc_sql('hybrid.md', 'bm25 index'));
$node->safe_psql($db, 'VACUUM ANALYZE documents');

my $bm25     = doc_sql('hybrid.md', 'bm25');
my $filtered = $bm25 =~ s/FROM documents$(?:\s+WHERE (.*))?/"FROM documents WHERE section = 'games'" . ($1 ? " AND $1" : '')/megr;
my $prepare  = "PREPARE hybrid(text, halfvec) AS $bm25 PREPARE filtered(text, halfvec) AS $filtered";

sub run
{
    my ($package, $sql) = @_;
    return $node->safe_psql($db, "$prepare SELECT embedding AS v FROM packages WHERE package = '$package' \\gset\n$sql");
}

# What the two lists are by themselves, fused as the paper says.
my $lists = q{
    CREATE TEMP TABLE t AS SELECT id, row_number() OVER (ORDER BY score, id) AS rank FROM (SELECT id, body <@> to_bm25query('WORDS', 'documents_body_idx') AS score FROM documents WHERE CONDITION ORDER BY score LIMIT 50) x;
    CREATE TEMP TABLE v AS SELECT id, row_number() OVER (ORDER BY distance, id) AS rank FROM (SELECT id, embedding <=> :'v' AS distance FROM documents WHERE CONDITION ORDER BY distance LIMIT 50) x;
    SELECT id, round((coalesce(1.0 / (60 + t.rank), 0) + coalesce(1.0 / (60 + v.rank), 0))::numeric, 10) AS score FROM t FULL JOIN v USING (id) ORDER BY score DESC, id LIMIT 10};

for my $case ([ 'hybrid', 'chess engine', 'stockfish', 'true' ], [ 'filtered', 'chess engine', 'stockfish', q{section = 'games'} ], [ 'hybrid', 'a viewer of images', 'gimp', 'true' ], [ 'hybrid', 'nosuchword', 'mutt', 'true' ])
{
    my ($statement, $words, $package, $condition) = @$case;
    my $call = "EXECUTE $statement('$words', :'v')";
    my $plan = run($package, "EXPLAIN (COSTS OFF) $call");
    like($plan, qr/Index Scan using documents_body_idx/, "$statement, $words: the index of words");
    like($plan, qr/Custom Scan \(HnswScan\) on documents/, 'and that of vectors');
    my $expected = run($package, $lists =~ s/WORDS/$words/r =~ s/CONDITION/$condition/gr);
    is(run($package, "CREATE TEMP TABLE answer AS $call; SELECT id, round(score::numeric, 10) FROM answer ORDER BY score DESC, id"), $expected, 'ten rows in the order of both');
    is($expected =~ tr/\n//, 9, 'of ten');
}

my $no_vector = run('stockfish', q{EXECUTE hybrid('chess engine', NULL)});
is($no_vector =~ tr/\n//, 9, 'without a vector ten rows');
is($no_vector, run('stockfish', q{SELECT id, rrf(row_number() OVER (ORDER BY score, id)) FROM (SELECT id, body <@> to_bm25query('chess engine', 'documents_body_idx') AS score FROM documents ORDER BY score LIMIT 50) x ORDER BY 2 DESC, id LIMIT 10}), 'of the list of words alone');

$node->stop;
done_testing();
