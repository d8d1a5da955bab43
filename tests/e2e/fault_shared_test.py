#!/usr/bin/python3
"""fault_table_test.py and fault_points_test.py over storage that both hosts have, a directory or a LUN: the same
faults, and the only tree that there is must never be gone, nor a LUN mounted on two hosts.

    ZONEFERRY_FAULT_ROWS=all ZONEFERRY_KILLS=all tests/e2e/fault_shared_test.py      # CI: 2 rows and 8 kills of each
"""
import os

os.environ.setdefault("ZONEFERRY_FAULT_ROWS", "2")
import fault_table_test  # noqa: E402
import faults  # noqa: E402
from fault_points import Sweep  # noqa: E402
from shared import Lun, SharedDirectory  # noqa: E402

KILLS = os.environ.get("ZONEFERRY_KILLS", "8")


class DirectoryFaultTest(fault_table_test.FaultTableTest):
    make_storage = SharedDirectory
    section = "Over a directory that both hosts have"
    phases = [phase for phase in fault_table_test.PHASES if phase[1] not in ("sent", "verified")]  # nothing travels

    def test_killed_at_any_call(self):
        Sweep(self, "plain").kill_at_each(KILLS, fault_table_test.SEED)


class LunFaultTest(DirectoryFaultTest):
    make_storage = Lun
    section = "Over a LUN"


if __name__ == "__main__":
    faults.main()
