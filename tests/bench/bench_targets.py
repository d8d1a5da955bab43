"""The ratios that the stream is built for, and what a run of stream_bench.py says of them."""

TAR_PEERS = ("tar-tls", "tar-zstd1-tls", "tar-adapt-tls")
RSYNC_PEERS = ("rsync-ssh", "rsync-zstd1-ssh", "rsync-zstd3-ssh", "rsync-daemon")
ALL_PEERS = RSYNC_PEERS + TAR_PEERS
# (data, link, figure, against, target): how many times more the best of these peers needs than we do.
TARGETS = (
    [(data, "none", "durable_s", ("rsync-ssh",), 4.5) for data in ("root", "small")]
    + [(data, "none", "durable_s", ("tar-tls",), 1.6) for data in ("root", "small")]
    + [(data, "none", "durable_s", ("tar-tar",), 1 / 1.1) for data in ("root", "small")]
    + [("big", "none", "durable_s", ("tar-tls",), 1.3)]
    + [(data, "1G", "durable_s", ALL_PEERS, 1.6) for data in ("root", "small")]
    + [("big", "1G", "durable_s", ALL_PEERS, 1.15)]
    + [(data, "1G+20ms", "durable_s", ALL_PEERS, 1.5) for data in ("root", "small", "big")]
    + [(data, "100M", "durable_s", ALL_PEERS, 1.1) for data in ("root", "small", "big")]
    + [(data, "100M", "wire_mb", ("tar-adapt-tls",), 1.0) for data in ("root", "small", "big")]
    + [(data, "1G", "cpu_s", ("rsync-zstd1-ssh", "rsync-zstd3-ssh"), 1 / 0.6) for data in ("root", "small", "big")]
)
WORDS = {"durable_s": "synced s", "wire_mb": "wire MB", "cpu_s": "cpu s"}


def print_targets(results):
    figures = {(one["data"], one["link"], one["peer"]): one for one in results}
    print(f"\n{'data':8} {'link':9} {'figure':9} {'ours':>8} {'best peer':>9} {'':16} {'ratio':>6} {'target':>6}")
    for data, link, figure, peers, target in TARGETS:
        ours = figures.get((data, link, "ours"))
        there = [(figures[data, link, peer][figure], peer) for peer in peers if (data, link, peer) in figures]
        if ours is None or not there:
            continue
        best, peer = min(there)
        ratio = best / ours[figure]
        print(f"{data:8} {link:9} {WORDS[figure]:9} {ours[figure]:8.2f} {best:9.2f} {peer:16} {ratio:6.2f} "
              f"{target:6.2f} {'ok' if ratio >= target else 'MISSED'}")
