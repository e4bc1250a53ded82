"""Compares the calls that shared/backend-aws makes with the actions that infra/generator/permissions.py gives."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "infra")]

from generator import permissions  # noqa: E402

SOURCE = ROOT / "shared/backend-aws/src"

#: Every call of the SDK that a port might make, and the action that it needs where that has another name.
TABLE_CALLS = "get_item put_item update_item delete_item query scan batch_get_item batch_write_item"
TABLE_CALLS += " transact_get_items transact_write_items execute_statement"
OBJECT_CALLS = "get_object put_object delete_object delete_objects list_objects list_objects_v2 head_object copy_object"
OBJECT_CALLS += " create_multipart_upload upload_part complete_multipart_upload get_object_attributes list_object_versions"
QUEUE_CALLS = "send_message send_message_batch receive_message delete_message delete_message_batch"
QUEUE_CALLS += " change_message_visibility change_message_visibility_batch get_queue_attributes purge_queue"
QUEUE_CALLS += " create_queue delete_queue list_queues set_queue_attributes"
OTHER_NAMES = {
    "head_object": "GetObject",
    "list_objects": "ListBucket",
    "list_objects_v2": "ListBucket",
    "delete_objects": "DeleteObject",
    "send_message_batch": "SendMessage",
    "delete_message_batch": "DeleteMessage",
    "change_message_visibility_batch": "ChangeMessageVisibility",
}
#: What the ports of tables have in common (`table.rs`), and the action that it needs.
COMMON = {"write_batch": "BatchWriteItem", "delete_all": "BatchWriteItem"}

GIVEN = {
    **{
        table: {*permissions.READ[table], *permissions.WRITE[table], *permissions.ERASE.get(table, [])}
        for table in permissions.TABLES
    },
    "objects": {*permissions.OBJECTS.values(), permissions.LIST},
    "queue": {*permissions.RECEIVE, *permissions.SEND, *permissions.MEASURE, *permissions.DRAIN, *permissions.BELL},
}
#: Where a port's calls are, if not in the module of its name.
FILES = {"queue": ["queue", "wakeups"]}
CALLS = dict.fromkeys(permissions.TABLES, TABLE_CALLS) | {"objects": OBJECT_CALLS, "queue": QUEUE_CALLS}


def main() -> int:
    code = 0
    for port, names in CALLS.items():
        made = {action(call) for call in calls(port, names.split())}
        if made != GIVEN[port]:
            code = 1
            print(f"error: {port}: called and not allowed: {sorted(made - GIVEN[port])}", file=sys.stderr)
            print(f"error: {port}: allowed and not called: {sorted(GIVEN[port] - made)}", file=sys.stderr)
    given_up = set(permissions.GIVE_UP)
    if not given_up <= GIVEN["control"]:
        code = 1
        print("error: dead letters are allowed what the control table is not", file=sys.stderr)
    return code


def calls(port: str, names: list[str]) -> set[str]:
    files = []
    for name in FILES.get(port, [port]):
        files += [SOURCE / f"{name}.rs", *sorted((SOURCE / name).glob("**/*.rs"))]
    code = "\n".join(file.read_text(encoding="utf-8").split("#[cfg(test)]")[0] for file in files if file.exists())
    if not code:
        raise SystemExit(f"error: the port {port} is not where it was")
    made = {name for name in names if re.search(rf"\.\s*{name}\(\)", code)}
    return made | {name for name in COMMON if re.search(rf"table\s*\.{name}\(", code)}


def action(call: str) -> str:
    return COMMON.get(call) or OTHER_NAMES.get(call, "".join(word.capitalize() for word in call.split("_")))


if __name__ == "__main__":
    sys.exit(main())
