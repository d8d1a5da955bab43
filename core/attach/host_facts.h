// What a host is, as the other one must know it to judge whether a zone can live there.
#pragma once

#include <string>

#include "core/base/host_root.h"
#include "core/base/result.h"

namespace zoneferry {

struct HostFacts {
    std::string host;                  // its name
    std::string host_id;               // /etc/machine-id of the global zone, or one made for it once; empty: not told
    std::string machine;               // uname -m: "x86_64"
    std::string package_system;        // "dpkg", "svr4"
    std::string package_architecture;  // dpkg's: "amd64"
    std::string kernel_release;        // "6.1.0-18-amd64"
    std::string os_name;               // PRETTY_NAME of os-release
    std::string runtime;               // "systemd-nspawn 252"; empty: none present

    bool operator==(const HostFacts&) const = default;
};

Result<HostFacts> gather_host_facts(const HostRoot& root);

}  // namespace zoneferry
