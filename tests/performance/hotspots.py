"""Where the time of the hot paths goes: Linux perf beside the load, the samples put together by what they belong to.

It needs a server program with its symbols: `CARGO_PROFILE_RELEASE_STRIP=none cargo build --release -p pennypost`.
"""

import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import document
from growth import processor_seconds, until_quiet
from sections import Plan, Results, say
from servers import Running
from support import packages

#: What a sample belongs to: the first that its symbol (or, for the kernel, its own name) matches.
KERNEL = (
    ("copying", r"copy_|memcpy|rep_movs|clear_page"),
    ("sockets", r"tcp|sock|skb|inet|ip_|loopback|__dev_|netif|net_rx|nf_|sk_|ipv4"),
    ("disk", r"ext4|jbd2|blk|bio|virtio|virtqueue|submit|folio|filemap|xa_|dquot|__find_get_block|writeback|crc32"),
    ("waking and switching", r"sched|futex|wake|ep_|epoll|eventfd|switch|spin_unlock|idle|finish_task|hrtimer|timer|dequeue|enqueue"),
    ("page faults", r"fault|page|pte|mmap|madvise|vma|mm_|lru|memcg"),
    ("other kernel", r""),
)
PROGRAM = (
    ("zstd", r"ZSTD|HUF_|FSE_|HIST_|zstd"),
    ("SQLite", r"sqlite3|rusqlite|^(pcache|wal|btree|vdbe|balance|pager|moveTo|unix)"),
    ("allocator", r"\bmi_|_mi_|mimalloc|malloc|^free$|realloc"),
    ("copying", r"memmove|memcpy|memset|memcmp|memchr"),
    ("hashing, checksums", r"crc32|sha2|sha256|blake|argon2|siphash|SipHash|DefaultHasher"),
    ("parsing messages", r"pennypost_mime|mail_parser|mail_auth"),
    ("state (fold)", r"pennypost_fold"),
    ("store (packs, segments)", r"pennypost_mailstore|segment"),
    ("IMAP", r"pennypost_ingress.*imap|imap"),
    ("SMTP", r"pennypost_ingress|smtp"),
    ("handlers", r"pennypost_deliver|pennypost_policy|pennypost_inbound|pennypost_notify|pennypost_runtime"),
    ("encoding (serde)", r"postcard|serde"),
    ("tokio", r"tokio|mio::|parking_lot|futures"),
    ("other of the program", r""),
)
#: Samples a second, off the beat of everything that happens a thousand times a second.
FREQUENCY = 1997
#: Messages in the mailbox.
MESSAGES = 10_000


def measure(plan: Plan) -> tuple[Results, str]:
    packages.ensure({"perf": ["linux-perf"]})
    seconds = 1 if plan.quick else 5
    messages = 2_000 if plan.quick else MESSAGES
    rows = []
    with plan.running("pennypost", 20) as server:
        letters = 300 if plan.quick else 10_000
        smtp = ["smtp", *server.letters_in(), *server.users(19, 1), "--connections", 8, "--size", "10k",
                "--imap-port", server.office.ports["imap"], "--messages"]
        # So that the passwords are known, whose first check takes long on purpose.
        server.bench(*smtp, 200)
        with Sampled(plan, server) as sampled:
            report = server.bench(*smtp, letters, "--first-letter", 1_000_000)
        rows.append(sampled.row("SMTP: DATA to commit to visible, 8 connections, 10 KB", letters, "letter"))
        say(f"ingest: {report['figures'][0]['median']:.0f}/s")
        server.bench("imap", *server.imap(), *server.users(1), "--size", "10k", "--messages", messages, "--fill-only")
        until_quiet(server)
        client = Client(server)
        client.command("SELECT bench")
        for title, command, share, unit in (
            ("FETCH 1:* (FLAGS)", "FETCH 1:* (FLAGS)", messages, "message"),
            ("FETCH 1:* (UID FLAGS ENVELOPE INTERNALDATE RFC822.SIZE)",
             "FETCH 1:* (UID FLAGS ENVELOPE INTERNALDATE RFC822.SIZE)", messages, "message"),
            ("FETCH 1:* BODYSTRUCTURE", "FETCH 1:* BODYSTRUCTURE", messages, "message"),
            ("FETCH of one body", "FETCH {} BODY.PEEK[]", 1, "message"),
            ("SEARCH SUBJECT", 'SEARCH SUBJECT "no such words"', messages, "message"),
            ("SEARCH BODY of a word that no letter has", 'SEARCH BODY "committee"', messages, "message"),
            ("STORE on 1,000: decide, fold, commit", "STORE 1:1000 {} (\\Flagged)", 1_000, "message"),
        ):
            for warm in range(3):
                client.command(variant(command, warm))
            count, end = 0, time.monotonic() + seconds
            with Sampled(plan, server) as sampled:
                while time.monotonic() < end:
                    client.command(variant(command, count))
                    count += 1
            rows.append(sampled.row(title, count * share, unit))
            say(f"{title}: {sampled.wall / count * 1e3:.2f} ms")
        client.close()
    return Results(), section(rows)


def variant(command: str, count: int) -> str:
    if "STORE" in command:
        return command.format("+FLAGS" if count % 2 == 0 else "-FLAGS")
    return command.format(count * 7919 % 2_000 + 1)


def section(rows: list[list[str]]) -> str:
    heads = ["path", "elapsed", "server CPU", "where the server's CPU time goes"]
    return "\n".join([
        document.table(heads, rows).replace(" ---: |\n", " --- |\n", 1), "",
        f"One client; a mailbox of {MESSAGES:,} letters of 10 KB with its segments built. Elapsed and CPU for each letter or "
        f"message. Samples of Linux perf, {FREQUENCY} a second, over all threads of the server, put together by the names of "
        "functions (`tests/performance/hotspots.py`): what is inlined counts for its caller.",
    ])


class Client:
    """Sends a command and reads until its tagged answer, as fast as it can."""

    def __init__(self, server: Running):
        self.socket = socket.create_connection(("127.0.0.1", server.office.ports["imap"]))
        self.command(f"LOGIN {server.users(1)[1].replace('{}', '0')} {server.password}")

    def command(self, text: str) -> None:
        self.socket.sendall(f"t {text}\r\n".encode())
        tail = b""
        while True:
            got = self.socket.recv(1 << 20)
            if not got:
                raise SystemExit(f"error: the server closed after {text}")
            tail = (tail + got)[-8192:]
            last = tail.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
            if tail.endswith(b"\r\n") and last.startswith(b"t "):
                if not last.startswith(b"t OK"):
                    raise SystemExit(f"error: {text}: {last.decode(errors='replace')}")
                return

    def close(self) -> None:
        self.socket.close()


class Sampled:
    """Samples the server while the block runs."""

    def __init__(self, plan: Plan, server: Running):
        self.server = server
        self.file = Path(server.root).parent / "perf.data"

    def __enter__(self) -> "Sampled":
        pids = ",".join(str(pid) for pid in self.server.office.process_ids())
        self.perf = subprocess.Popen(
            ["perf", "record", "-q", "-F", str(FREQUENCY), "-o", str(self.file), "-p", pids],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        self.used, self.began = processor_seconds(self.server), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.monotonic() - self.began
        self.used = processor_seconds(self.server) - self.used
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()

    def row(self, title: str, count: int, unit: str) -> list[str]:
        shares = self.shares()
        largest = sorted(shares.items(), key=lambda share: -share[1])
        told = ", ".join(f"{name} {share:.0f} %" for name, share in largest if share >= 1.5)
        return [title, each(self.wall / count, unit), each(self.used / count, unit), told]

    def shares(self) -> dict[str, float]:
        report = subprocess.run(
            ["perf", "report", "-i", str(self.file), "--stdio", "--no-children", "--sort", "dso,symbol",
             "--percent-limit", "0"], capture_output=True, text=True)
        shares: dict[str, float] = {}
        known = 0.0
        for line in report.stdout.splitlines():
            found = re.match(r"\s*([\d.]+)%\s+(\S+)\s+\[(.)\]\s+(.*)", line)
            if not found:
                continue
            share, dso, symbol = float(found[1]), found[2], found[4].strip()
            groups = KERNEL if found[3] == "k" or "kernel" in dso else PROGRAM
            if not symbol.startswith("0x"):
                known += share
            name = next(name for name, pattern in groups if re.search(pattern, symbol))
            shares[name] = shares.get(name, 0.0) + share
        if known < 80:
            raise SystemExit(f"error: only {known:.0f} % of the samples have symbols: {__doc__.splitlines()[-1]}")
        return shares


def each(seconds: float, unit: str) -> str:
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 0.1:
            return f"{document.number(seconds * factor)} {name} a {unit}"
    return f"{document.number(seconds * 1e9)} ns a {unit}"
