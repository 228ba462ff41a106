"""debian-lsa: what Debian's packages say of themselves, as vectors, and the section of each.

The texts are the long descriptions of a release, as apt downloads and verifies them; the
vectors are latent semantic analysis (TF-IDF and truncated SVD, of scikit-learn)."""
import hashlib
import os
import subprocess
import tempfile

import numpy as np

from omenbench import formats
from omenbench.host import TREE, quiet, say

RELEASE, ARCHITECTURE = "bookworm", "amd64"
DEFAULT_MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DIMENSIONS = 384
# A text none of whose words is known has no direction; some hang on a rounding error.
SHORTEST = 1e-3


def make(stem, queries):
    """Writes stem.base.fbin, stem.query.fbin (that many packages held out, seeded) and stem.npz:
    the number of each package's section (rows, queries), and what all this was made of (source)."""
    say(f"debian-lsa: the descriptions of {RELEASE}'s packages")
    packages, translations = download()
    sections, texts = descriptions(packages, translations)
    vectors = analysis(texts, DIMENSIONS)
    long_enough = np.flatnonzero(np.linalg.norm(vectors, axis=1) > SHORTEST)
    held_out = np.sort(np.random.default_rng(4).choice(long_enough, queries, replace=False))
    base = np.setdiff1d(long_enough, held_out)
    numbers = np.unique(sections, return_inverse=True)[1].astype(np.int32)
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    np.savez(stem + ".npz", rows=numbers[base], queries=numbers[held_out],
             source=f"descriptions of {len(long_enough)} packages of Debian {RELEASE} (sha256 {digest}),"
                    f" TF-IDF and truncated SVD, {queries} held out")
    formats.write_fbin(stem + ".query.fbin", vectors, held_out)
    # Last of all: where it is, the others are.
    formats.write_fbin(stem + ".base.fbin", vectors, base)


def download():
    """The release's lists of packages and of long descriptions, each a text. The system's own
    lists stay as they are."""
    with tempfile.TemporaryDirectory(prefix="bench-index.") as directory:
        os.makedirs(f"{directory}/lists/partial")
        os.chmod(directory, 0o755)
        with open(f"{directory}/sources.list", "w") as f:
            f.write(f"deb [arch={ARCHITECTURE} signed-by={KEYRING}] {mirror()} {RELEASE} main\n")
        options = [f"Dir::State::lists={directory}/lists", f"Dir::Cache={directory}/cache",
                   f"Dir::Etc::sourcelist={directory}/sources.list", "Dir::Etc::sourceparts=-",
                   # A mirror that has stood still is still good, and signed.
                   "Acquire::Check-Valid-Until=false", "Acquire::Languages=en", "APT::Update::Error-Mode=any"]
        quiet(["apt-get", "update", "-q", *(x for option in options for x in ("-o", option))])
        names = os.listdir(f"{directory}/lists")
        return [subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", f"{directory}/lists/{name}"],
                               check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
                for part in ("_Packages", "_Translation-en") for name in names if part in name]


def mirror():
    return quiet(["bash", "-c", ". tools/lib.sh; host_mirror"], cwd=TREE).strip() or DEFAULT_MIRROR


def descriptions(packages, translations):
    """(section, text) of every package, in the list's order: its long description, or what stands
    for it in the list."""
    long_ones = {x["Description-md5"]: x["Description-en"] for x in stanzas(translations)}
    both = [(x.get("Section", ""), long_ones.get(x.get("Description-md5"), x.get("Description", "")))
            for x in stanzas(packages)]
    return [section for section, _ in both], [text for _, text in both]


def stanzas(text):
    """The paragraphs of a Debian control file (deb822), each a dict of its fields."""
    for paragraph in text.split("\n\n"):
        fields, name = {}, None
        for line in paragraph.splitlines():
            if line[:1].isspace():
                fields[name] += "\n" + line.strip()
            elif line:
                name, value = line.split(":", 1)
                fields[name] = value.strip()
        if fields:
            yield fields


def known_items(packages, translations):
    """[package, section, synopsis, body] of the packages for a search of known items: by its
    synopsis, the one line that the list has, a package is looked for among the bodies, the long
    descriptions without that line. No two of them have the same synopsis or the same body: there
    would be two right answers."""
    long_ones = {x["Description-md5"]: x["Description-en"] for x in stanzas(translations)}
    items, known = [], set()
    for x in stanzas(packages):
        synopsis, _, body = long_ones.get(x.get("Description-md5"), "").partition("\n")
        body = " ".join(line for line in body.split("\n") if line != ".")
        if body and known.isdisjoint([("synopsis", synopsis), ("body", body)]):
            known.update([("synopsis", synopsis), ("body", body)])
            items.append([x["Package"], x.get("Section", ""), synopsis, body])
    return items


def analysis(texts, dimensions, others=None):
    """Vectors of the texts, and of others that have no part in what the analysis learns (if given)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    words = TfidfVectorizer(sublinear_tf=True, min_df=3, max_df=0.2, stop_words="english", dtype=np.float32)
    svd = TruncatedSVD(dimensions, n_iter=4, random_state=0)
    vectors = svd.fit_transform(words.fit_transform(texts)).astype(np.float32)
    return vectors if others is None else (vectors, svd.transform(words.transform(others)).astype(np.float32))
