#!/usr/bin/python3
"""fault_table_test.py over one directory that both hosts have: the same faults at the same phases, and the only tree that
there is must never be gone.

    ZONEFERRY_FAULT_ROWS=all tests/e2e/fault_shared_test.py      # every row; CI: 2
"""
import os

os.environ.setdefault("ZONEFERRY_FAULT_ROWS", "2")
import fault_table_test  # noqa: E402
import faults  # noqa: E402
from shared import SharedDirectory  # noqa: E402


class SharedFaultTableTest(fault_table_test.FaultTableTest):
    make_storage = SharedDirectory
    is_documented = False
    test_the_document_has_every_row = None


if __name__ == "__main__":
    faults.main()
