#include "core/zone/nspawn.h"

#include <algorithm>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::uint32_t kFirstId = 524288;  // 0x80000 .. 0x6fffffff: systemd's container range
constexpr std::uint32_t kRanges = (1879048192U - kFirstId) / 65536;

// nspawn separates the parts of a bind by ':'.
std::string escaped(const std::string& path) {
    std::string out;
    for (const char c : path) {
        if (c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

// A zone's name may end in or repeat '.', a host name may not.
std::string machine_name(const std::string& zone) {
    std::string out = zone;
    const bool is_host_name = out.find("..") == std::string::npos && out.back() != '.' && out.back() != '-' &&
                              out.find(".-") == std::string::npos && out.find("-.") == std::string::npos;
    if (is_host_name) return out;
    std::replace(out.begin(), out.end(), '.', 'x');
    std::replace(out.begin(), out.end(), '-', 'x');
    return out;
}

Error unsupported(const ZoneConfig& config, const std::string& what) {
    return Error(Errc::unsupported, "zone " + config.name + " cannot boot: " + what + " is not supported on Linux yet")
        .remedy("remove it with zonecfg -z " + config.name);
}

Status add_filesystem(const HostRoot& root, const ZoneConfig& config, const FsResource& fs,
                      std::vector<std::string>& argv) {
    const bool read_only = std::find(fs.options.begin(), fs.options.end(), "ro") != fs.options.end();
    if (fs.type == "tmpfs") {
        argv.push_back("--tmpfs=" + escaped(fs.directory));
        return {};
    }
    if (fs.type != "lofs")
        return unsupported(config, "fs type " + printable(fs.type) + " of " + printable(fs.directory));
    argv.push_back((read_only ? "--bind-ro=" : "--bind=") + escaped(root.at(fs.special)) + ":" + escaped(fs.directory) +
                   ":idmap");
    return {};
}

}  // namespace

std::uint32_t uid_base(const std::string& zone) {
    const Digest digest = sha256(as_bytes("uid base\n" + zone));
    return kFirstId + 65536 * (load_little_endian<std::uint32_t>(digest) % kRanges);
}

Result<std::vector<std::string>> nspawn_command(const HostRoot& root, const ZoneConfig& config) {
    if (!config.devices.empty()) return unsupported(config, "device " + printable(config.devices.front()));
    if (!config.datasets.empty()) return unsupported(config, "dataset " + printable(config.datasets.front()));
    std::vector<std::string> argv{
        "systemd-nspawn", "--quiet", "--boot", "--directory=" + root.at(config.zonepath) + "/root",
        "--machine=" + machine_name(config.name),
        // Neither systemd nor dbus is needed on the host, and our own cgroup is kept.
        "--register=no", "--keep-unit", "--private-users=" + std::to_string(uid_base(config.name)) + ":65536",
        "--private-users-ownership=map", "--console=interactive", "--notify-ready=yes",
        // The zone's own files are left alone, and no .nspawn file of the host has a say.
        "--settings=no", "--resolv-conf=off", "--timezone=off", "--link-journal=no"};
    if (config.ip_type == IpType::exclusive) argv.emplace_back("--private-network");
    for (const std::string& directory : config.inherited_directories) {
        argv.push_back("--bind-ro=" + escaped(root.at(directory)) + ":" + escaped(directory) + ":idmap");
    }
    for (const FsResource& fs : config.filesystems) ZF_TRY_STATUS(add_filesystem(root, config, fs, argv));
    // What follows "--" is for the zone's init: a configuration from elsewhere must not become options of nspawn.
    argv.emplace_back("--");
    for (const std::string_view word : split_words(config.bootargs)) {
        if (word.starts_with("systemd.")) argv.emplace_back("--" + std::string(word.substr(8)));
    }
    return argv;
}

std::vector<std::string> nspawn_environment(const std::string& notify_socket) {
    return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TERM=linux",
            "NOTIFY_SOCKET=" + notify_socket,
            // nspawn looks for systemd in the root before the binds: with an inherited /usr it would guess cgroup v1.
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"};
}

}  // namespace zoneferry
