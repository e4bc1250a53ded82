"""Compares the manifest's facts with what Python's email package reads.

A second opinion on the facts, written without the builders. Where Python's
parser is known to be wrong, the mail's `python_skips` says so.
"""

import email
import re
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from typing import Any, Iterator

from .build import Corpus
from .dkim_verify import dkim_result


def decode(value: str | None) -> str | None:
    if value is None:
        return None
    out = ""
    for data, charset in decode_header(re.sub(r"\r?\n(?=[ \t])", "", str(value))):
        out += data.decode(charset or "ascii", "replace") if isinstance(data, bytes) else data
    return out


def leaves(message: Message, deep: bool) -> Iterator[Message]:
    """The leaf parts; an enclosed mail is a leaf unless `deep`."""
    if not message.is_multipart() or (message.get_content_maintype() == "message" and not deep):
        yield message
        return
    for part in message.get_payload():
        yield from leaves(part, deep)


def file_name(part: Message) -> str | None:
    name = part.get_filename()
    return decode(name) if name else None


def part_text(part: Message) -> str:
    data = part.get_payload(decode=True) or b""
    content = data.decode(part.get_content_charset() or "ascii", "replace").lstrip("\ufeff")
    if part.get_content_subtype() == "html":
        content = re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", content)
    return " ".join(content.split())


def squeeze(value: Any) -> Any:
    return re.sub(r"[\s\x00-\x1f]+", " ", value).strip() if isinstance(value, str) else value


def observed(message: Message, fact: str, wanted: Any) -> Any:
    """What Python says about `fact`; the wanted value itself if it cannot tell."""
    match fact:
        case "subject":
            return decode(message["Subject"])
        case "from":
            pairs = getaddresses([str(v) for v in message.get_all("From", [])])
            return [{"name": decode(n) or None, "address": a} for n, a in pairs]
        case "to_addresses":
            return [a for _, a in getaddresses(message.get_all("To", [])) if a]
        case "to_count":
            return len([a for _, a in getaddresses(message.get_all("To", [])) if a])
        case "leaf_parts":
            return len(list(leaves(message, False)))
        case "leaf_parts_deep":
            return len(list(leaves(message, True)))
        case "attachment_names":
            return [n for part in leaves(message, False) if (n := file_name(part))]
        case "nested_subjects":
            return [decode(p["Subject"]) for p in message.walk() if p["Subject"] is not None and p is not message]
        case "preview_contains":
            texts = [part_text(p) for p in leaves(message, False) if p.get_content_maintype() == "text"]
            return [needle for needle in wanted if texts and needle in texts[0][:160]]
        case "message_id":
            return message["Message-ID"].strip("<>")
        case "in_reply_to":
            return message["In-Reply-To"] and message["In-Reply-To"].strip("<>")
        case "references":
            return re.findall(r"<([^>]*)>", message.get("References", ""))
        case "headers":
            return {name: message[name] for name in wanted}
        case "from_count" | "subject_count" | "received_count":
            return len(message.get_all(fact.removesuffix("_count"), []))
        case "list_id":
            return re.search(r"<([^>]*)>", message["List-Id"])[1]
        case "calendar_method":
            found = [p for p in message.walk() if p.get_content_type() == "text/calendar"]
            return found[0].get_param("method")
        case "report_type":
            return message.get_param("report-type")
        case "calendar_uid":
            found = [p for p in message.walk() if p.get_content_type() == "text/calendar"]
            return re.search(r"UID:(\S+)", found[0].get_payload(decode=True).decode())[1]
        case "content_ids":
            return [p["Content-ID"].strip("<>") for p in message.walk() if p["Content-ID"]]
        case "base_subject":
            return re.sub(r"^((re|回复|答复)[:：] *)+", "", decode(message["Subject"]), flags=re.I)
        case "text_lines":
            return message.get_payload().splitlines()
        case "dsn" | "mdn":
            blocks = [
                b
                for p in message.walk()
                if p.get_content_type().startswith("message/di" if fact == "mdn" else "message/de")
                for b in p.get_payload()
            ]
            fields = {k.lower(): v for block in blocks for k, v in block.items()}
            return {key: re.split("[;<]", fields[key.replace("_", "-")])[-1].strip(" >") for key in wanted}
        case "attachment_size":
            return max(len(p.get_payload(decode=True)) for p in leaves(message, False))
    return wanted


def differences(corpus: Corpus) -> Iterator[str]:
    for entry, (name, raw) in zip(corpus.entries, corpus.mails.items(), strict=True):
        expect = entry["expect"]
        if name.startswith("big-1000-"):
            continue  # Python's parser recurses by level
        message = email.message_from_bytes(raw)
        for fact, wanted in expect.items():
            if fact in corpus.python_skips[name]:
                continue
            seen = dkim_result(raw) if fact == "dkim" else observed(message, fact, wanted)
            if expect.get("subject_normalised") and fact == "subject":
                seen, wanted = squeeze(seen), squeeze(wanted)
            if seen != wanted:
                yield f"{name}: {fact}: manifest says {wanted!r}, Python reads {seen!r}"
