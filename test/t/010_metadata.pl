# META.json is what PGXN's specification 1.0.0 asks for, and the version is the
# same wherever it stands.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use Test::More;

my $top = $ENV{OMENDB_SRC} // '.';

sub content
{
    my ($path) = @_;
    open my $file, '<', "$top/$path" or die "$path: $!";
    local $/;
    return <$file>;
}

my $meta = JSON::PP->new->decode(content('META.json'));
my $term = qr/^[^\s\/\\\0-\x1f]{2,}$/;
my $semver = qr/^\d+\.\d+\.\d+(-[a-z][0-9a-z-]*)?$/i;

# Other keys than the specification's have to begin with x_.
my %known = map { $_ => 1 } qw(abstract description generated_by license maintainer meta-spec name no_index prereqs
    provides release_status resources tags version);
is_deeply([ grep { !$known{$_} && !/^x_/i } sort keys %$meta ], [], 'keys are known');
like($meta->{name}, $term, 'name is a term');
like($meta->{version}, $semver, 'version is semantic');
ok(length($meta->{abstract} // ''), 'abstract');
ok(length($meta->{maintainer} // ''), 'maintainer');
is($meta->{license}, 'postgresql', 'licence is one of the known strings');
is($meta->{'meta-spec'}{version}, '1.0.0', 'specification version');
like($meta->{release_status}, qr/^(stable|testing|unstable)$/, 'release status');
is_deeply([ keys %{ $meta->{provides} } ], ['omendb'], 'provides the extension');

my $provided = $meta->{provides}{omendb};
like($provided->{version}, $semver, 'provided version is semantic');
ok(-f "$top/$provided->{file}", "$provided->{file} exists");
ok(-f "$top/$provided->{docfile}", "$provided->{docfile} exists");
like($_, qr/^(configure|build|test|runtime|develop)$/, "phase $_") for keys %{ $meta->{prereqs} };
for my $phase (values %{ $meta->{prereqs} })
{
    like($_, qr/^(requires|recommends|suggests|conflicts)$/, "relation $_") for keys %$phase;
    for my $relation (values %$phase)
    {
        like($relation->{$_}, qr/^[\d.]+$/, "prerequisite $_ has a version") for keys %$relation;
    }
}
like($_, qr/^[^\/\\\0-\x1f]{1,255}$/, "tag $_") for @{ $meta->{tags} };

my $version = $meta->{version};
is($provided->{version}, $version, 'version of what is provided');
is($provided->{file}, 'sql/omendb.sql', 'what the script, named by the version of the control file, is made of');
like(content('omendb.control'), qr/^default_version = '\Q$version\E'$/m, 'version in the control file');
like(content('src/omendb.c'), qr/OMENDB_MODULE_MAGIC\("omendb", "\Q$version\E"\)/, 'version in the module');
like(content('debian/changelog'), qr/\Aomendb \(\Q$version\E-/, 'version of the Debian packages');
my ($newest) = content('CHANGELOG.md') =~ /^## (\S+)/m;
is($newest, $version, 'newest version in the changelog');
like(content('README.md'), qr/\b\Q$version\E\b/, 'version in the README');
my ($least) = content('README.md') =~ /\(at least (\d+\.\d+)\b/;
is($meta->{prereqs}{runtime}{requires}{PostgreSQL}, "$least.0", 'the least PostgreSQL, as in the README');

done_testing();
