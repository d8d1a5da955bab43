// `zoneferry p2v scan`: what of a live machine would not work in a zone, before anything is packed. Looks only; reads
// configuration files and the package database below a root, and, of the running machine itself (live), its mounts.
// What the install would change is told by the units that change it (core/adjust).
//
// Findings are the machine's own (Side::source). block: it cannot be installed at all; warn: something to decide or to
// do; info: what the install changes by itself. Codes: docs/findings.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/attach/finding.h"
#include "core/base/result.h"

namespace zoneferry {

struct ScannedMount {
    std::string special;
    std::string directory;
    std::string type;
    bool operator==(const ScannedMount&) const = default;
};

struct ScannedAddress {
    std::string interface;
    std::string address;  // "192.0.2.17/24"; empty: by DHCP
    std::string gateway;
    bool operator==(const ScannedAddress&) const = default;
};

struct P2vScan {
    std::string system;  // "Debian GNU/Linux 12 (bookworm)"
    std::string host;    // its name, as far as it is a zone's name; else "zone01"
    std::vector<Finding> findings;
    std::vector<ScannedMount> mounts;      // local file systems beside the root
    std::vector<ScannedAddress> networks;  // static ones first
};

// root: an open directory. live: it is the running machine's own root.
Result<P2vScan> scan_system(int root, bool is_live);

// The zone that would take it, as zonecfg's words, one a line, with what a person has to look at as comments. Pure.
std::string zonecfg_template(const P2vScan& scan);

// Parts, pure: local file systems of an fstab beside the root and the swap; interfaces of ifupdown's file.
std::vector<ScannedMount> fstab_mounts(std::string_view fstab);
std::vector<ScannedAddress> ifupdown_addresses(std::string_view interfaces);
// [Match] Name and [Network] Address, Gateway, DHCP of a .network file.
std::vector<ScannedAddress> networkd_addresses(std::string_view network);

}  // namespace zoneferry
