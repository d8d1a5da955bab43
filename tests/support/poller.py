#!/usr/bin/python3
"""poller.py URL [--seconds N] [--timeout-ms N] [--output FILE] : a client that never stops asking.

Asks for the counter every 10 ms, each time over a fresh TCP connection, and writes one JSON line per answer:
    {"t": 12.345678, "ok": true, "value": 17}     t: CLOCK_MONOTONIC in seconds, when the answer was there
    {"t": 12.401234, "ok": false, "error": "timed out"}
After N seconds or on SIGTERM/SIGINT comes a last line {"summary": {...}} as made by summarise():
    longest_gap_ms  the longest time between two good answers: the downtime a client saw
    went_back       how often a value was smaller than one seen before: lost writes; must be 0
"""
import argparse
import json
import signal
import socket
import sys
import time
import urllib.parse

PERIOD_S = 0.010


def ask(host, port, path, timeout_s):
    """The number at http://host:port/path; raises OSError or ValueError."""
    deadline = time.monotonic() + timeout_s
    with socket.create_connection((host, port), timeout_s) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        answer = b""
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(4096)
            if not piece:
                break
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        raise ValueError(head.split(b"\r\n")[0].decode("ascii", "replace") or "empty answer")
    return int(body)


def summarise(records):
    """The downtime and the order of the values, from the records of a log (dicts, in order)."""
    good = [r for r in records if r.get("ok")]
    gaps = [(b["t"] - a["t"], a, b) for a, b in zip(good, good[1:])]
    longest = max(gaps, key=lambda g: g[0], default=None)
    highest, went_back = -1, 0
    for record in good:
        went_back += record["value"] < highest
        highest = max(highest, record["value"])
    return {"answers": len(good), "failures": sum(1 for r in records if r.get("ok") is False),
            "longest_gap_ms": round(longest[0] * 1000, 1) if longest else None,
            "gap_from": longest[1]["t"] if longest else None, "gap_to": longest[2]["t"] if longest else None,
            "value_before_gap": longest[1]["value"] if longest else None,
            "value_after_gap": longest[2]["value"] if longest else None,
            "first_value": good[0]["value"] if good else None, "last_value": good[-1]["value"] if good else None,
            "went_back": went_back}


def read_log(path):
    """The records of a log file; a line that is still being written is left out."""
    with open(path, encoding="utf8") as log:
        return [json.loads(line) for line in log if line.endswith("\n") and '"t"' in line]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--timeout-ms", type=int, default=100)
    parser.add_argument("--output", default="-")
    options = parser.parse_args()
    url = urllib.parse.urlsplit(options.url)
    out = sys.stdout if options.output == "-" else open(options.output, "w", encoding="utf8")
    stopped = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.append(1))
    records, started = [], time.monotonic()
    due = started
    while not stopped and (options.seconds is None or time.monotonic() - started < options.seconds):
        try:
            value = ask(url.hostname, url.port or 80, url.path or "/", options.timeout_ms / 1000)
            record = {"t": round(time.monotonic(), 6), "ok": True, "value": value}
        except (OSError, ValueError) as error:
            record = {"t": round(time.monotonic(), 6), "ok": False, "error": str(error)}
        records.append(record)
        print(json.dumps(record), file=out, flush=True)
        due = max(due + PERIOD_S, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    print(json.dumps({"summary": summarise(records)}), file=out, flush=True)


if __name__ == "__main__":
    main()
