#!/usr/bin/env python3
"""Writes the sample mails and their manifest; the same bytes on every machine.

    generate.py               write mails/, manifest.json, CONTENTS.md and the DKIM record
    generate.py --check       regenerate in memory and compare with what is committed
    generate.py --self-test   parse every mail with Python's own parser, compare with the manifest
    generate.py --big DIR     write the mails that are too big to commit into DIR

Python 3.11 or later, standard library only.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from corpus import stream as corpus_stream
from gen import basic, big, broken, languages, names, reports, signed
from gen.build import Corpus
from gen.rsa import TestKey
from gen.verify import differences

HERE = Path(__file__).resolve().parent
RECORD = "dkim/test._domainkey.sample.test.txt"


def small_corpus() -> Corpus:
    corpus = Corpus()
    for module in (basic, languages, names, broken, reports, signed):
        module.build(corpus)
    return corpus


def big_corpus() -> Corpus:
    corpus = Corpus()
    big.build(corpus)
    for entry in corpus.entries:
        entry["file"] = entry["file"].removeprefix("mails/")
    return corpus


def contents(small: Corpus, large: Corpus) -> str:
    """CONTENTS.md: what each mail is for."""
    lines = [
        "# What each sample mail shows",
        "",
        "Written by `generate.py`; do not edit. See `README.md` for the words in the second column.",
        "",
        "| mail | sent as | shows |",
        "| --- | --- | --- |",
    ]
    for entry in small.entries + large.entries:
        sent_as = ", ".join([entry["transmit"], *entry["needs"]])
        shows = entry["shows"].replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {Path(entry['file']).stem} | {sent_as} | {shows} |")
    return "\n".join(lines) + "\n"


def corpus_pin() -> dict[str, int | str]:
    """The checksum of the first mails of the benchmark corpus."""
    count, size, seed = 50, 10 * 1024, 1
    digest = hashlib.sha256(b"".join(raw for raw, _, _ in corpus_stream(count, size, seed, spread=False)))
    return {"count": count, "size": size, "seed": seed, "sha256_of_all": digest.hexdigest()}


def files_of(small: Corpus, large: Corpus) -> dict[str, bytes]:
    """Every generated file that is committed, by its path in this folder."""
    manifest = {"format": 1, "mails": small.entries, "big": large.entries, "corpus": corpus_pin()}
    files = {f"mails/{name}.eml": raw for name, raw in small.mails.items()}
    files["manifest.json"] = (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode()
    files["CONTENTS.md"] = contents(small, large).encode()
    files[RECORD] = signed.dkim_txt(TestKey()).encode()
    return files


def check(files: dict[str, bytes]) -> int:
    wrong = [path for path, data in files.items() if not (HERE / path).is_file() or (HERE / path).read_bytes() != data]
    extra = [f"mails/{p.name}" for p in (HERE / "mails").iterdir() if f"mails/{p.name}" not in files]
    for path in wrong:
        print(f"error: {path} is missing or differs from what the generator writes", file=sys.stderr)
    for path in extra:
        print(f"error: {path} is not written by the generator", file=sys.stderr)
    print(f"{len(files)} generated files, {len(wrong)} differ, {len(extra)} unknown")
    return 1 if wrong or extra else 0


def self_test(*corpora: Corpus) -> int:
    found = [line for corpus in corpora for line in differences(corpus)]
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    print(f"{sum(len(c.mails) for c in corpora)} mails parsed, {len(found)} facts differ")
    return 1 if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--check", action="store_true", help="compare with the committed files")
    group.add_argument("--self-test", action="store_true", help="parse the mails and compare with the manifest's facts")
    group.add_argument("--big", metavar="DIR", type=Path, help="write the big mails into DIR")
    arguments = parser.parse_args()
    large = big_corpus()
    if arguments.big:
        arguments.big.mkdir(parents=True, exist_ok=True)
        for name, raw in large.mails.items():
            (arguments.big / f"{name}.eml").write_bytes(raw)
        print(f"{len(large.mails)} big mails in {arguments.big}")
        return 0
    small = small_corpus()
    files = files_of(small, large)
    if arguments.check:
        return check(files)
    if arguments.self_test:
        return self_test(small, large)
    for path, data in files.items():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_bytes(data)
    print(f"{len(small.mails)} mails, {sum(map(len, small.mails.values()))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
