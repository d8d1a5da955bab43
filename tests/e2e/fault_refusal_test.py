#!/usr/bin/python3
"""What is refused before anything is touched: each with its exit code, one sentence and what to type; and both hosts
are afterwards as they were."""
import time

import faults
from ferry import ZONES, ferry, ferry_json, make_zone, trust, zone_commands, zone_path, zone_states
from faults import FaultTest, footprint, install_plain


class RefusalTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        install_plain(cls.host1, "plain")

    def setUp(self):
        self.before = [footprint(host) for host in self.hosts]

    def assert_untouched(self):
        for host, before in zip(self.hosts, self.before):
            self.assertEqual(footprint(host), before, host.name)

    def refused(self, code, *words, verb=("move", "plain", "host2"), host=None):
        done = ferry(host or self.host1, *verb, check=False)
        self.assert_one_sentence(done, code, *words)
        self.assert_untouched()
        return done

    def codes(self, zone="plain"):
        status, lines = ferry_json(self.host1, "move", zone, "host2", check=False)
        self.assertEqual(status, 3, lines)
        blocks = [line for line in lines if line["type"] == "finding" and line["severity"] == "block"]
        for line in blocks:
            self.assertTrue(line["message"] and line["remedy"], line)
        self.assert_untouched()
        return {(line["side"], line["code"]) for line in blocks}

    def test_unknown_zone(self):
        self.refused(8, "there is no zone nozone", "zoneadm list", verb=("move", "nozone", "host2"))
        self.refused(2, "zone name", verb=("move", "../etc", "host2"))

    def test_unknown_host(self):
        self.refused(6, "host9 is not a trusted host here", "zoneferry trust invite host9",
                     verb=("move", "plain", "host9"))

    def test_to_itself(self):
        self.refused(2, "host1 is this host", verb=("move", "plain", "host1"))

    def test_host_down(self):
        self.host2.cut_link()
        self.addCleanup(self.host2.heal_link)
        done = ferry(self.host1, "move", "plain", "host2", check=False)
        self.assert_one_sentence(done, 5, "host2 (10.99.0.2:7743) did not answer", "->")
        self.host2.heal_link()
        self.assert_untouched()

    def test_agent_of_the_peer_down(self):
        agent = self.agents["host2"]
        agent.stop()
        self.addCleanup(lambda: agent.process.poll() is not None and agent.start())
        self.refused(5, "no connection to host2", "is zoneferryd running there")

    def test_own_agent_down(self):
        agent = self.agents["host1"]
        agent.stop()
        self.addCleanup(lambda: agent.process.poll() is not None and agent.start())
        self.refused(5, "no agent answers", "zoneferryd")

    def test_peer_does_not_trust_us_any_more(self):
        ferry(self.host2, "trust", "remove", "host1")
        self.addCleanup(trust, self.host1, self.host2)
        self.refused(6, "host1")
        trust(self.host1, self.host2)
        self.assertEqual(ferry(self.host1, "check", "plain", "host2").returncode, 0)

    def test_all_findings_at_once(self):
        make_all_wrong = zone_commands("wrong", "10.99.1.77", extra=(
            "add inherit-pkg-dir", "set dir=/opt", "end", "add fs", "set dir=/data", "set special=/srv/only-here",
            "set type=none", "add options bind", "end")).replace("br0", "br7")
        self.host1.path("/srv/only-here").mkdir(parents=True)
        self.host1.path("/opt").mkdir(exist_ok=True)
        self.host1.run(["ip", "link", "add", "br7", "type", "bridge"])
        self.addCleanup(self.host1.run, ["ip", "link", "del", "br7"])
        faults.add_data(self.host1, "wrong", 1, 5)
        self.host1.path(zone_path("wrong")).chmod(0o700)
        self.host1.run(["zonecfg", "-z", "wrong", "-f", "/dev/stdin"], input=make_all_wrong)
        self.host1.run(["zoneadm", "-z", "wrong", "attach", "-F"])
        other = zone_commands("tenant", "10.99.1.77")
        self.host2.run(["zonecfg", "-z", "tenant", "-f", "/dev/stdin"], input=other)
        self.host2.run(["zonecfg", "-z", "wrong", "create -b; set zonepath=/export/zones/elsewhere"])
        self.host2.path(zone_path("wrong")).mkdir()
        self.host2.path(ZONES).chmod(0o777)
        self.addCleanup(self.host2.path(ZONES).chmod, 0o755)
        mounted = self.host1.path(zone_path("wrong")) / "root/mnt"
        mounted.mkdir()
        inside = zone_path("wrong") + "/root/mnt"
        # In the host's first mount namespace, where every later command is entered too.
        self.host1.run(["mount", "-t", "tmpfs", "tmpfs", inside])
        self.addCleanup(self.host1.run, ["umount", inside], check=False)
        self.before = [footprint(host) for host in self.hosts]
        found = self.codes("wrong")
        expected = {("source", "MOUNTED_INSIDE"), ("target", "NAME_TAKEN"), ("target", "ZONEPATH_UNSAFE"),
                    ("target", "FS_SOURCE_MISSING"), ("target", "INTERFACE_MISSING"), ("target", "ADDRESS_IN_USE")}
        self.assertLessEqual(expected, found)
        self.host2.path(ZONES).chmod(0o755)
        self.host1.run(["umount", inside])
        self.before = [footprint(host) for host in self.hosts]
        self.assertIn(("target", "ZONEPATH_EXISTS"), self.codes("wrong"))

    def test_inherited_directory_missing(self):
        self.host1.path("/opt/tools").mkdir(parents=True, exist_ok=True)
        install_plain(self.host1, "heir", extra=("add inherit-pkg-dir; set dir=/opt/tools; end",))
        self.before = [footprint(host) for host in self.hosts]
        self.assertIn(("target", "INHERITED_DIR_MISSING"), self.codes("heir"))

    def test_disk_too_small(self):
        self.host2.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", ZONES])
        self.addCleanup(self.host2.run, ["umount", ZONES], check=False)
        self.before = [footprint(host) for host in self.hosts]
        self.assertIn(("target", "NO_SPACE"), self.codes())

    def test_key_readable_by_all(self):
        trust = self.host1.path("/var/lib/zoneferry/trust")
        for name, verb in (("host.pem", ("move", "plain", "host2")), ("authority.key", ("trust", "invite", "host5"))):
            with self.subTest(key=name):
                (trust / name).chmod(0o644)
                self.addCleanup((trust / name).chmod, 0o600)
                self.refused(6, "can be used by others", f"chmod 600 /var/lib/zoneferry/trust/{name}", verb=verb)
                (trust / name).chmod(0o600)

    def test_invitations(self):
        def invite(*words):
            return ferry(self.host1, "trust", "invite", *words).stdout.splitlines()[0]

        def join(line):
            return ferry(self.host2, "trust", "join", input=line + "\n", check=False)
        used = invite("host2")
        self.assertEqual(join(used).returncode, 0)
        self.assert_one_sentence(join(used), 6, "invitation")
        self.assert_one_sentence(join(invite("host3")), 6, "host3")
        self.assert_one_sentence(join(used[:-3] + "AAA"), 2, "checksum")
        self.assert_one_sentence(join("nonsense"), 2)
        self.assertEqual(ferry(self.host1, "check", "plain", "host2").returncode, 0)

    def test_verbs_in_the_wrong_state(self):
        for verb in ("abort", "rollback", "finalize", "watch"):
            self.refused(8, "no move", verb=(verb, "nothing"))
        make_zone(self.host1, "done", sparse=True)
        ferry(self.host1, "move", "done", "host2")
        self.before = [footprint(host) for host in self.hosts]
        self.refused(7, "cannot be aborted", "zoneferry rollback", verb=("abort", "done"))
        self.refused(3, "NOT_OWNER", verb=("move", "done", "host2"))
        ferry(self.host1, "finalize", "done")
        self.before = [footprint(host) for host in self.hosts]
        self.refused(7, "finalized", verb=("rollback", "done"))
        self.refused(7, "finalized", verb=("finalize", "done"))
        self.refused(8, "there is no zone", verb=("move", "done", "host2"))
        self.host2.run(["zoneadm", "-z", "done", "uninstall", "-F"])


if __name__ == "__main__":
    faults.main()
