# Input errors that do not end the statement: from PostgreSQL 16 on the server can
# ask whether a text is a value; before, it cannot.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use Test::More;

my $node = start_node('soft');
create_omendb($node, 'soft');
my $version = server_version($node);

my $long = '[' . ('1,' x 16000) . '1]';
my $many = '{' . join(',', map { "$_:1" } 1 .. 16001) . '}/20000';
my @invalid = (
    [ 'vector', '[1,a]', '22P02', 'invalid input syntax for type vector: "[1,a]"', 'Expected a number at character 4.', 'The text form is [1,2.5,-3].' ],
    [ 'vector', '1,2', '22P02' ], [ 'vector', '', '22P02' ], [ 'vector', '[1', '22P02' ], [ 'vector', '[1]x', '22P02' ], [ 'vector', '[1;2]', '22P02' ],
    [ 'vector', '[]', '22000', 'vector must have at least 1 dimension' ],
    [ 'vector', $long, '54000', 'vector cannot have more than 16000 dimensions' ],
    [ 'vector', '[NaN]', '22000', 'NaN not allowed in vector' ], [ 'vector', '[1,inf]', '22000', 'infinite value not allowed in vector' ],
    [ 'vector', '[1e39]', '22003', '"1e39" is out of range for type vector' ],
    [ 'vector(3)', '[1,2]', '22000', 'expected 3 dimensions, not 2' ],
    [ 'halfvec', '[1,a]', '22P02', 'invalid input syntax for type halfvec: "[1,a]"', 'Expected a number at character 4.', 'The text form is [1,2.5,-3].' ],
    [ 'halfvec', '[]', '22000' ], [ 'halfvec', $long, '54000' ], [ 'halfvec', '[nan]', '22000' ], [ 'halfvec', '[1e39]', '22003' ],
    [ 'halfvec', '[65520]', '22003', '"65520" is out of range for type halfvec' ],
    [ 'halfvec(1)', '[1,2]', '22000', 'expected 1 dimensions, not 2' ],
    [ 'sparsevec', '{1:x}/2', '22P02', 'invalid input syntax for type sparsevec: "{1:x}/2"', 'Expected a number at character 4.', 'The text form is {1:1.5,3:-2}/5.' ],
    [ 'sparsevec', '', '22P02' ], [ 'sparsevec', '{', '22P02' ], [ 'sparsevec', '{1', '22P02' ], [ 'sparsevec', '{1:1', '22P02' ], [ 'sparsevec', '{}', '22P02' ], [ 'sparsevec', '{}/', '22P02' ], [ 'sparsevec', '{}/1x', '22P02' ],
    [ 'sparsevec', '{}/0', '22000', 'sparsevec must have at least 1 dimension' ], [ 'sparsevec', '{}/1000000001', '54000', 'sparsevec cannot have more than 1000000000 dimensions' ],
    [ 'sparsevec', $many, '54000', 'sparsevec cannot have more than 16000 non-zero elements' ],
    [ 'sparsevec', '{1:inf}/2', '22000' ], [ 'sparsevec', '{1:1e39}/2', '22003' ],
    [ 'sparsevec', '{3:1}/2', '22000', 'sparsevec index out of bounds', 'Index 3 is not from 1 to the number of dimensions, 2.' ],
    [ 'sparsevec', '{0:1}/2', '22000' ], [ 'sparsevec', '{1:1,1:1}/2', '22000', 'sparsevec indices must not contain duplicates' ],
    [ 'sparsevec(3)', '{}/2', '22000', 'expected 3 dimensions, not 2' ],);
my @valid = ([ 'vector', '[1,2]' ], [ 'vector(2)', ' [ 1, 2 ]' ], [ 'halfvec', '[65504]' ], [ 'sparsevec', '{}/1000000000' ], [ 'sparsevec(2)', '{1:0,2:2}/2' ]);

# Whatever the version: a plain cast throws.
for my $case (@invalid)
{
    my ($type, $text, $state) = @$case;
    is(sqlstate($node, 'soft', "SELECT '$text'::$type"), $state, "$type '" . substr($text, 0, 30) . "' throws $state");
}

if ($version >= 160000)
{
    for my $case (@invalid)
    {
        my ($type, $text, $state, $message, $detail, $hint) = @$case;
        my $name = "$type '" . substr($text, 0, 30) . "'";
        is($node->safe_psql('soft', "SELECT pg_input_is_valid('$text', '$type')"), 'f', "$name is not valid");
        is($node->safe_psql('soft', "SELECT sql_error_code FROM pg_input_error_info('$text', '$type')"), $state, "$name: $state");
        next unless defined $message;
        is($node->safe_psql('soft', "SELECT message FROM pg_input_error_info('$text', '$type')"), $message, "$name: message");
        is($node->safe_psql('soft', "SELECT coalesce(detail, ''), coalesce(hint, '') FROM pg_input_error_info('$text', '$type')"), ($detail // '') . '|' . ($hint // ''), "$name: detail and hint");
    }
    for my $case (@valid)
    {
        my ($type, $text) = @$case;
        is($node->safe_psql('soft', "SELECT pg_input_is_valid('$text', '$type'), message IS NULL FROM pg_input_error_info('$text', '$type')"), 't|t', "$type '$text' is valid");
    }
    # Many in one session: a refused value leaves nothing behind.
    is($node->safe_psql('soft', "SELECT count(*) FILTER (WHERE pg_input_is_valid('[' || i || CASE WHEN i % 3 = 0 THEN 'x]' ELSE ']' END, 'vector')) FROM generate_series(1, 9000) i"), 6000, 'thousands of them');
    is($node->safe_psql('soft', "SELECT pg_input_is_valid('{\"[1]\",\"[x]\"}', 'vector[]'), pg_input_is_valid('{\"[1]\",\"[2]\"}', 'vector[]')"), 'f|t', 'in arrays');
}
else
{
    is(sqlstate($node, 'soft', "SELECT pg_input_is_valid('[1]', 'vector')"), '42883', 'this server cannot ask');
}

my $copy = "CREATE TEMP TABLE t (v vector(2), s sparsevec); COPY t FROM stdin %s;\n[1,2]\t{}/3\n[1,x]\t{}/3\n[1,2,3]\t{}/3\n[3,4]\t{9:1}/3\n[5,6]\t{1:1}/3\n\\.\nSELECT v, s FROM t ORDER BY v;\n";
if ($version >= 170000)
{
    my ($stdout) = session($node, 'soft', sprintf $copy, '(ON_ERROR ignore)');
    is($stdout, "[1,2]|{}/3\n[5,6]|{1:1}/3", 'COPY goes on after rows that it cannot read');
    is($node->safe_psql('soft', q{SELECT JSON_VALUE(jsonb '{"v": "[1,x]"}', '$.v' RETURNING vector DEFAULT '[0]' ON ERROR), JSON_VALUE(jsonb '{"v": "[1,2]"}', '$.v' RETURNING vector DEFAULT '[0]' ON ERROR)}), '[0]|[1,2]', 'JSON_VALUE takes its default');
}
else
{
    my ($stdout, $stderr) = session($node, 'soft', sprintf $copy, '(ON_ERROR ignore)');
    like($stderr, qr/ERROR:\s+42601/, 'this server has no ON_ERROR in COPY');
}
my ($stdout, $stderr) = session($node, 'soft', sprintf $copy, '');
is($stdout, '', 'a plain COPY reads all or nothing');
like($stderr, qr/ERROR:\s+22P02/, 'and says why');

$node->stop;
done_testing();
