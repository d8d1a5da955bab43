#include "core/p2v/scan.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "core/adjust/adjust.h"
#include "core/adjust/linux_network.h"
#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/p2v/image_check.h"
#include "core/packages/database_file.h"
#include "core/packages/inventory.h"
#include "core/zone/name.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kFileBytesMax = 1 << 20;
constexpr std::size_t kNamesMax = 1000;  // of one directory that is listed

// Software that needs what a zone has not. A name that ends with '*' is a beginning.
struct Software {
    std::string_view package;
    Severity severity;
    std::string_view why;
    std::string_view remedy;
};
constexpr std::array kSoftware{
    Software{"linux-image-*", Severity::info, "the kernel is the host's", "nothing; the package does no harm"},
    Software{"grub-*", Severity::info, "a zone has no boot loader", "nothing; the package does no harm"},
    Software{"*-dkms", Severity::warn, "a zone cannot load kernel modules", "install the module on the host"},
    Software{"nfs-kernel-server", Severity::warn, "a zone cannot serve NFS", "serve it from the host"},
    Software{"mdadm", Severity::info, "disks are the host's", "nothing"},
    Software{"lvm2", Severity::info, "disks are the host's", "nothing"},
    Software{"multipath-tools", Severity::info, "disks are the host's", "nothing"},
    Software{"smartmontools", Severity::info, "disks are the host's", "watch them on the host"},
    Software{"chrony", Severity::info, "a zone cannot set the clock", "run it on the host"},
    Software{"ntp", Severity::info, "a zone cannot set the clock", "run it on the host"},
    Software{"ntpsec", Severity::info, "a zone cannot set the clock", "run it on the host"},
    Software{"docker*", Severity::warn, "containers do not nest in a zone", "make each of them a zone of its own"},
    Software{"podman", Severity::warn, "containers do not nest in a zone", "make each of them a zone of its own"},
    Software{"containerd*", Severity::warn, "containers do not nest in a zone", "make each of them a zone of its own"},
    Software{"lxc", Severity::warn, "containers do not nest in a zone", "make each of them a zone of its own"},
    Software{"qemu-system-*", Severity::warn, "a zone has no /dev/kvm", "run virtual machines on the host"},
    Software{"libvirt-daemon*", Severity::warn, "a zone has no /dev/kvm", "run virtual machines on the host"},
    Software{"wireguard*", Severity::warn, "it needs ip-type=exclusive and a module of the host's kernel",
             "load the module on the host: modprobe wireguard"},
    Software{"openvpn", Severity::warn, "it needs /dev/net/tun, which a zone has not", "run it on the host"},
    Software{"iptables-persistent", Severity::warn, "packet filters work with ip-type=exclusive only",
             "set ip-type=exclusive, or filter on the host"},
    Software{"ufw", Severity::warn, "packet filters work with ip-type=exclusive only",
             "set ip-type=exclusive, or filter on the host"},
    Software{"auditd", Severity::warn, "the kernel's audit log is the host's", "run it on the host"},
    Software{"open-vm-tools", Severity::info, "it is for a machine of its own", "nothing"},
    Software{"qemu-guest-agent", Severity::info, "it is for a machine of its own", "nothing"},
};

bool matches(std::string_view name, std::string_view pattern) {
    if (pattern.starts_with('*')) return name.ends_with(pattern.substr(1));
    if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
    return name == pattern;
}

constexpr std::string_view kNetworkTypes[] = {"nfs", "nfs4", "cifs", "smb3", "sshfs", "ceph", "glusterfs", "9p"};
constexpr std::string_view kKernelTypes[] = {"proc",    "sysfs",   "tmpfs", "devpts", "devtmpfs", "cgroup",
                                             "cgroup2", "debugfs", "swap",  "none",   "auto",     "fuse.sshfs"};

template <class List>
bool holds(const List& list, std::string_view word) {
    return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

std::vector<std::string> names_in(int root, const std::string& path) {
    const auto directory = open_in_root(root, path, O_RDONLY | O_DIRECTORY);
    if (!directory) return {};
    auto names = list_directory_fd(directory->get());
    if (!names) return {};
    if (names->size() > kNamesMax) names->resize(kNamesMax);
    return *std::move(names);
}

class Scan {
public:
    Scan(int root, bool is_live) : root_(root), is_live_(is_live) {}

    Result<P2vScan> run() {
        ZF_TRY(const bool is_system, look_at_system());
        if (!is_system) return std::move(scan_);
        look_at_mounts();
        look_at_network();
        look_at_modules();
        look_at_servers();
        look_at_containers();
        look_at_sysctl();
        look_at_changes();
        std::stable_sort(scan_.findings.begin(), scan_.findings.end(),
                         [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
        return std::move(scan_);
    }

private:
    std::string text_of(const std::string& path) const {
        auto text = read_in_root(root_, path, kFileBytesMax);
        return text ? *std::move(text) : std::string();
    }

    void add(Severity severity, const char* code, const std::string& subject, const std::string& message,
             const std::string& remedy) {
        Finding found;
        found.code = code;
        found.side = Side::source;
        found.severity = severity;
        found.subject = printable(subject);
        found.message = message;
        found.remedy = remedy;
        scan_.findings.push_back(std::move(found));
    }

    Result<bool> look_at_system() {
        const auto system = find_package_system(root_);
        if (!system) {
            add(Severity::block, "P2V_NO_SYSTEM", "packages", system.error().text(),
                "only Debian-family and Solaris (svr4) systems can become zones");
            return false;
        }
        ZF_TRY(const ImageFacts facts, read_image_facts(root_, *system));
        for (const std::string& missing : facts.missing)
            add(Severity::block, "P2V_NO_SYSTEM", missing, "this is no whole system: it has no " + missing,
                "scan the root of a whole system");
        if (!facts.missing.empty()) return false;
        scan_.system = facts.release.shown;
        const std::string name(trim(text_of("/etc/hostname")));
        scan_.host = ZoneName::create(name) ? name : "zone01";
        for (const KnownPackage& known : facts.packages.packages) look_at_package(known.package.name);
        for (const std::string& warning : facts.packages.warnings)
            add(Severity::warn, "P2V_PACKAGE_STATE", "packages", printable(warning),
                "bring the packages in order first");
        return true;
    }

    void look_at_package(const std::string& name) {
        for (const Software& software : kSoftware) {
            if (!matches(name, software.package)) continue;
            add(software.severity, "P2V_SOFTWARE", name,
                "package " + printable(name) + " will not do its work in a zone: " + std::string(software.why),
                std::string(software.remedy));
            return;
        }
    }

    void look_at_mounts() {
        scan_.mounts = fstab_mounts(text_of("/etc/fstab"));
        std::set<std::string> known;
        for (const ScannedMount& mount : scan_.mounts) {
            known.insert(mount.directory);
            add(Severity::warn, "P2V_LOCAL_FS", mount.directory,
                printable(mount.directory) + " (" + printable(mount.special) + ", " + printable(mount.type) +
                    ") is a file system of its own: an archive of the root has nothing of it, and the install takes it "
                    "out of fstab",
                "pack it too, or mount it on the host and give it to the zone: zonecfg add fs");
        }
        if (!is_live_) return;
        const auto mounted = mounts_below(root_);
        for (const std::string& point : mounted ? *mounted : std::vector<std::string>()) {
            const bool is_kernels = is_below(point, {"/proc", "/sys", "/dev", "/run", "/tmp"});
            if (is_kernels || known.contains(point)) continue;
            add(Severity::warn, "P2V_LOCAL_FS", point,
                printable(point) + " is mounted but not in fstab: an archive of the root has nothing of it",
                "pack it too, or mount it on the host and give it to the zone: zonecfg add fs");
        }
    }

    static bool is_below(const std::string& path, std::initializer_list<std::string_view> directories) {
        return std::any_of(directories.begin(), directories.end(), [&](std::string_view directory) {
            return path == directory || path.starts_with(std::string(directory) + "/");
        });
    }

    void look_at_network() {
        std::vector<ScannedAddress> all = ifupdown_addresses(text_of("/etc/network/interfaces"));
        const auto append = [&](std::vector<ScannedAddress> more) {
            std::move(more.begin(), more.end(), std::back_inserter(all));
        };
        for (const std::string& name : names_in(root_, "/etc/network/interfaces.d"))
            append(ifupdown_addresses(text_of("/etc/network/interfaces.d/" + name)));
        for (const std::string& name : names_in(root_, "/etc/systemd/network")) {
            if (name.ends_with(".network")) append(networkd_addresses(text_of("/etc/systemd/network/" + name)));
        }
        if (const auto nics = configured_nics(root_)) add_nics(*nics, all);
        std::stable_sort(all.begin(), all.end(), [](const ScannedAddress& a, const ScannedAddress& b) {
            return !a.address.empty() && b.address.empty();
        });
        scan_.networks = std::move(all);
        for (const ScannedAddress& address : scan_.networks) {
            add(Severity::info, "P2V_NETWORK", address.interface,
                "interface " + printable(address.interface) + " has " +
                    (address.address.empty() ? "its address by DHCP" : "address " + printable(address.address)) +
                    "; the zone's own interface takes its place",
                "give the zone a net resource for it: the template has one");
        }
    }

    // Those that the two parsers above do not know: netplan's, NetworkManager's.
    static void add_nics(const std::vector<ImageNic>& nics, std::vector<ScannedAddress>& all) {
        for (const ImageNic& nic : nics) {
            const bool is_known = std::any_of(all.begin(), all.end(),
                                              [&](const ScannedAddress& one) { return one.interface == nic.name; });
            if (!is_known) all.push_back({nic.name, nic.addresses.empty() ? "" : nic.addresses.front(), ""});
        }
    }

    // The very units of the install, in a zone as the template makes it.
    void look_at_changes() {
        ZoneConfig zone;
        zone.name = scan_.host;
        zone.ip_type = IpType::exclusive;
        for (const ScannedAddress& each : scan_.networks) zone.nets.push_back({each.address, "br0", each.gateway});
        const auto foreseen = foresee_adjustments(root_, zone, {});
        if (!foreseen) {
            add(Severity::warn, "P2V_CHANGES_UNKNOWN", "install",
                "what the install would change cannot be told: " + foreseen.error().text(),
                "scan an unpacked archive of this machine: zoneferry --root DIR p2v scan");
            return;
        }
        for (const Change& change : foreseen->changes) {
            add(Severity::info, "P2V_CHANGE", change.path,
                std::string(adjustment_kind_name(change.kind)) + ": the install changes /" + printable(change.path) +
                    ": " + change.done,
                "nothing; what is edited is kept in the zone, in /var/lib/zoneferry-p2v");
        }
        for (const std::string& warning : foreseen->warnings) {
            add(Severity::warn, "P2V_ATTENTION", "install", warning,
                "decide before the install, or look at it in the zone after its first boot");
        }
    }

    void look_at_modules() {
        std::string text = text_of("/etc/modules");
        for (const std::string& name : names_in(root_, "/etc/modules-load.d"))
            text += "\n" + text_of("/etc/modules-load.d/" + name);
        for (const std::string_view line : split(text, '\n')) {
            const std::string_view module = trim(line);
            if (module.empty() || module.starts_with('#') || module.starts_with(';')) continue;
            add(Severity::warn, "P2V_MODULE", std::string(module),
                "kernel module " + printable(module) + " is loaded at boot; a zone cannot load it",
                "if something in the zone needs it, load it on the host");
        }
    }

    void look_at_servers() {
        bool exports = has_lines(text_of("/etc/exports"));
        for (const std::string& name : names_in(root_, "/etc/exports.d"))
            exports = exports || has_lines(text_of("/etc/exports.d/" + name));
        if (exports || has_lines(text_of("/etc/dfs/dfstab"))) {
            add(Severity::warn, "P2V_NFS_SERVER", "exports",
                "this machine serves NFS; a zone cannot, and the install ends it",
                "serve these directories from the host");
        }
        if (has_lines(text_of("/etc/crypttab"))) {
            add(Severity::warn, "P2V_CRYPTTAB", "/etc/crypttab",
                "encrypted disks are opened at boot; a zone has no disks",
                "open them on the host and give the zone what it needs: zonecfg add fs");
        }
    }

    static bool has_lines(std::string_view text) {
        for (const std::string_view line : split(text, '\n')) {
            if (!trim(line).empty() && !trim(line).starts_with('#')) return true;
        }
        return false;
    }

    void look_at_containers() {
        for (const char* place : {"/var/lib/machines", "/var/lib/lxc", "/var/lib/docker/containers",
                                  "/var/lib/containers/storage", "/var/lib/libvirt/images"}) {
            if (names_in(root_, place).empty()) continue;
            add(Severity::warn, "P2V_CONTAINERS", place,
                std::string(place) + " holds containers or machines; they do not run in a zone",
                "make each a zone of its own; their data go with install --delete-containers");
        }
        const std::string index = text_of("/etc/zones/index");
        for (const std::string_view line : split(index, '\n')) {
            const auto fields = split(line, ':');
            if (fields.size() < 3 || line.starts_with('#') || fields[0] == "global") continue;
            add(Severity::warn, "P2V_CONTAINERS", std::string(fields[0]),
                "this machine has a zone, " + printable(fields[0]) + "; zones do not nest, and the install deletes it",
                "move it to the host first: zoneferry move " + printable(fields[0]) + " HOST");
        }
    }

    void look_at_sysctl() {
        std::string text = text_of("/etc/sysctl.conf");
        for (const std::string& name : names_in(root_, "/etc/sysctl.d")) {
            if (name.ends_with(".conf")) text += "\n" + text_of("/etc/sysctl.d/" + name);
        }
        for (const std::string_view line : split(text, '\n')) {
            const std::string_view setting = trim(line);
            const std::size_t equals = setting.find('=');
            if (setting.empty() || setting.starts_with('#') || setting.starts_with(';') ||
                equals == std::string_view::npos)
                continue;
            const std::string_view name = trim(setting.substr(0, equals));
            if (name.starts_with("net.")) continue;  // a zone with a stack of its own sets these itself
            add(Severity::info, "P2V_SYSCTL", std::string(name),
                "kernel setting " + printable(name) + " is the host's: the zone cannot set it",
                "if the zone needs it, set it on the host");
        }
    }

    int root_;
    bool is_live_;
    P2vScan scan_;
};

}  // namespace

Result<P2vScan> scan_system(int root, bool is_live) { return Scan(root, is_live).run(); }

std::vector<ScannedMount> fstab_mounts(std::string_view fstab) {
    std::vector<ScannedMount> mounts;
    for (const std::string_view line : split(fstab, '\n')) {
        const auto fields = split_words(line);
        if (fields.size() < 3 || fields[0].starts_with('#')) continue;
        const std::string_view directory = fields[1];
        const std::string_view type = fields[2];
        if (directory == "/" || !directory.starts_with('/') || holds(kNetworkTypes, type)) continue;
        if (holds(kKernelTypes, type) && type != "auto") continue;
        mounts.push_back({std::string(fields[0]), std::string(directory), std::string(type)});
    }
    return mounts;
}

std::vector<ScannedAddress> ifupdown_addresses(std::string_view interfaces) {
    std::vector<ScannedAddress> found;
    ScannedAddress* now = nullptr;
    std::string netmask;
    for (const std::string_view line : split(interfaces, '\n')) {
        const auto words = split_words(line);
        if (words.empty() || words[0].starts_with('#')) continue;
        if (words[0] == "iface") {
            now = nullptr;
            if (words.size() < 4 || words[1] == "lo" || (words[3] != "static" && words[3] != "dhcp")) continue;
            found.push_back({std::string(words[1]), "", ""});
            now = &found.back();
        } else if (words[0] == "auto" || words[0] == "mapping" || words[0].starts_with("allow-") ||
                   words[0].starts_with("source")) {
            now = nullptr;
        } else if (now != nullptr && words.size() >= 2) {
            if (words[0] == "address") now->address = words[1];
            if (words[0] == "gateway") now->gateway = words[1];
            const auto bits = words[0] == "netmask" ? parse_number<unsigned>(words[1]) : std::nullopt;
            const bool lacks_length = !now->address.empty() && now->address.find('/') == std::string::npos;
            if (bits && lacks_length) now->address += "/" + std::to_string(*bits);
            if (words[0] == "netmask" && !bits && lacks_length) {
                unsigned length = 0;
                for (const std::string_view part : split(words[1], '.')) {
                    for (unsigned byte = parse_number<unsigned>(part).value_or(0) & 255U; (byte & 128U) != 0;
                         byte = byte << 1U & 255U)
                        ++length;
                }
                now->address += "/" + std::to_string(length);
            }
        }
    }
    return found;
}

std::vector<ScannedAddress> networkd_addresses(std::string_view network) {
    ScannedAddress found;
    bool has_network = false;
    std::vector<ScannedAddress> all;
    for (const std::string_view line : split(network, '\n')) {
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        const std::string_view key = trim(line.substr(0, equals));
        const std::string value(trim(line.substr(equals + 1)));
        if (key == "Name" && found.interface.empty()) found.interface = value;
        if (key == "Gateway" && found.gateway.empty()) found.gateway = value;
        if (key == "DHCP" && value != "no") has_network = true;
        if (key != "Address") continue;
        has_network = true;
        if (found.address.empty()) found.address = value;
    }
    if (has_network && !found.interface.empty()) all.push_back(std::move(found));
    return all;
}

std::string zonecfg_template(const P2vScan& scan) {
    std::string text = "# " + printable(scan.system) + " as a zone. Look at every line before: zonecfg -z " +
                       scan.host + " -f FILE\n" + "create -b\nset zonepath=/export/zones/" + scan.host +
                       "\nset autoboot=true\n" + "set ip-type=exclusive\n";
    for (const ScannedAddress& address : scan.networks) {
        text += "# was " + printable(address.interface) + (address.address.empty() ? ", by DHCP" : "") +
                "; physical: a bridge of the host\nadd net\nset physical=br0\n";
        if (!address.address.empty()) text += "set address=" + printable(address.address) + "\n";
        if (!address.gateway.empty()) text += "set defrouter=" + printable(address.gateway) + "\n";
        text += "end\n";
    }
    for (const ScannedMount& mount : scan.mounts) {
        text += "# if the zone shall have " + printable(mount.directory) +
                ", mount it on the host first:\n# add fs\n# set type=lofs\n" + "# set special=/export/data/" +
                scan.host + printable(mount.directory) + "\n# set dir=" + printable(mount.directory) + "\n# end\n";
    }
    return text + "commit\n";
}

}  // namespace zoneferry
