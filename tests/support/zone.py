"""A name server for tests: one zone of records, over UDP on loopback."""

import socket
import threading


class Zone:
    """Answers A, AAAA, MX and TXT from `records`: name and type to texts as zone files write them. Everything else has no records."""

    def __init__(self, records: dict[tuple[str, str], list[str]]):
        self.records = records
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def add(self, name: str, kind: str, text: str) -> None:
        self.records.setdefault((name, kind), []).append(text)

    def text(self, name: str) -> str | None:
        found = self.records.get((name.rstrip(".").lower(), "TXT"))
        return found[0] if found else None

    def _serve(self) -> None:
        import dns.flags
        import dns.message
        import dns.rdatatype
        import dns.rrset

        while True:
            packet, peer = self._socket.recvfrom(4096)
            try:
                query = dns.message.from_wire(packet)
            except Exception:
                continue
            question = query.question[0]
            name = question.name.to_text(omit_final_dot=True).lower()
            kind = dns.rdatatype.to_text(question.rdtype)
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.AA | dns.flags.RA
            texts = self.records.get((name, kind), [])
            if texts:
                if kind == "TXT":
                    texts = [" ".join(f'"{text[at:at + 250]}"' for at in range(0, len(text), 250)) for text in texts]
                answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
            self._socket.sendto(answer.to_wire(max_size=4096), peer)
