"""What the demo and the end-to-end tests of a move share: agents, trust, and a zone with a service in it.

    with Hosts(["host1", "host2"], programs=bin) as hosts:
        agents = start_agents(hosts)
        trust(hosts["host1"], hosts["host2"])
        make_web_zone(hosts["host1"], "web01", "10.99.1.1")
        ferry(hosts["host1"], "move", "web01", "host2")
"""
import json
import pathlib
import time

from hosts import install_web_service

ZONES = "/export/zones"


class Agent:
    """zoneferryd of one host. Its log is a file beside the host's root."""

    def __init__(self, host):
        self.host = host
        self.process = None
        self.log_path = host.root.parent / f"{host.name}.agent.log"

    def start(self, wrapper=(), env=None):
        """wrapper: words before the program (strace ...). Returns once the control socket answers."""
        log = open(self.log_path, "a", encoding="utf8")
        with log:
            self.process = self.host.popen([*wrapper, "zoneferryd"], env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            if self.host.run(["zoneferry", "--format", "json", "version"], check=False).returncode == 0:
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the agent of {self.host.name} did not start: {self.log()}")
            time.sleep(0.02)

    def kill(self):
        """SIGKILL, as a crash of the agent alone: zones go on."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=30)

    def log(self):
        return self.log_path.read_text(encoding="utf8", errors="replace") if self.log_path.exists() else ""


def start_agents(hosts, **settings):
    agents = {}
    for host in hosts:
        write_settings(host, **settings)
        host.path(ZONES).mkdir(mode=0o755, parents=True, exist_ok=True)
        agents[host.name] = Agent(host).start()
    return agents


def write_settings(host, **settings):
    """agent.toml of a host: its own address only, and short patience, so that tests do not wait."""
    values = {"name": host.name, "addresses": [host.address], "retry_s": 60, "quiesced_retry_s": 8, **settings}
    path = host.path("/etc/zoneferry/agent.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))


def ferry(host, *words, check=True, timeout=180, input=None):
    """zoneferry WORDS... on a host: CompletedProcess."""
    return host.run(["zoneferry", *words], check=check, timeout=timeout, input=input)


def ferry_json(host, *words, check=True, timeout=180):
    """The same with --format json: (exit status, list of objects)."""
    done = ferry(host, "--format", "json", *words, check=check, timeout=timeout)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def trust(inviter, joiner):
    """The invitation's way: init, invite, join. The inviter may have an authority already."""
    ferry(inviter, "trust", "init", check=False)
    invitation = ferry(inviter, "trust", "invite", joiner.name).stdout.splitlines()[0]
    ferry(joiner, "trust", "join", input=invitation + "\n")


def zone_path(name):
    return f"{ZONES}/{name}"


def zone_commands(name, address=None, sparse=False, extra=()):
    """zonecfg's commands for a zone."""
    lines = ["create" if sparse else "create -b", f"set zonepath={zone_path(name)}", "set ip-type=exclusive"]
    if address:
        lines += ["add net", "set physical=br0", f"set address={address}/16", "end"]
    return "\n".join([*lines, *extra, "commit", ""])


def make_zone(host, name, address=None, sparse=False, extra=()):
    """Configured and installed from the host's own packages."""
    host.run(["zonecfg", "-z", name, "-f", "/dev/stdin"], input=zone_commands(name, address, sparse, extra))
    host.run(["zoneadm", "-z", name, "install"], timeout=120)
    return pathlib.Path(host.path(zone_path(name)))


def make_web_zone(host, name, address, sparse=False):
    """A zone with nginx and the counter, booted."""
    tree = make_zone(host, name, address, sparse)
    install_web_service(tree / "root")
    host.run(["zoneadm", "-z", name, "boot"], timeout=120)
    return tree


def zone_states(host):
    """{"web01": "running", ...} as zoneadm sees them."""
    lines = host.run(["zoneadm", "list", "-cp"]).stdout.splitlines()
    return {fields[1]: fields[2] for fields in (line.split(":") for line in lines)}
