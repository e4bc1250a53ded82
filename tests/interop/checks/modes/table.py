"""Which program did which mode: one table, printed at the end."""

from .way import COMMAND, MECHANISMS, TRANSPORTS, Mode

OK, FAILED, UNSUPPORTED, IMPOSSIBLE, SKIPPED = "ok", "FAIL", "-", "n/a", "?"


class Table:
    def __init__(self):
        #: Program and protocol to what came of each mode.
        self._cells: dict[tuple[str, str], dict[Mode, str]] = {}
        self._reasons: dict[str, list[str]] = {}

    def put(self, program: str, mode: Mode, result: str) -> None:
        self._cells.setdefault((program, mode.protocol), {})[mode] = result

    def unsupported(self, program: str, mode: Mode, reason: str) -> None:
        self.put(program, mode, UNSUPPORTED)
        reasons = self._reasons.setdefault(reason, [])
        name = f"{program} {mode.protocol.upper()}"
        if name not in reasons:
            reasons.append(name)

    def count(self, result: str) -> int:
        return sum(list(row.values()).count(result) for row in self._cells.values())

    def print(self) -> None:
        if not self.count(OK) + self.count(FAILED):
            return
        widths = [max(len(_title(mechanism)), len("ok ok ok")) for mechanism in MECHANISMS]
        print("\nEvery mode: without TLS, by STARTTLS or STLS, and by TLS from the first byte")
        print(f"{'':20}" + "  ".join(_title(m).ljust(w) for m, w in zip(MECHANISMS, widths)))
        for (program, protocol), row in self._cells.items():
            if not {OK, FAILED} & set(row.values()):
                continue
            cells = (
                " ".join(row.get(Mode(protocol, transport, mechanism), SKIPPED) for transport in TRANSPORTS)
                for mechanism in MECHANISMS
            )
            print(f"{program + ' ' + protocol.upper():20}" + "  ".join(c.ljust(w) for c, w in zip(cells, widths)))
        for reason, names in self._reasons.items():
            print(f"  {UNSUPPORTED} {', '.join(names)}: {reason}")
        print(f"  {IMPOSSIBLE}: without TLS there is nothing to bind to")
        print(f"  {self.count(OK)} ok, {self.count(FAILED)} failed, {self.count(UNSUPPORTED)} not by that program\n",
              flush=True)


def _title(mechanism: str) -> str:
    return {"command": "/".join(COMMAND.values()), "sasl-login": "SASL LOGIN"}.get(mechanism, mechanism)
