#include "core/adjust/solaris_system.h"

#include <algorithm>
#include <array>

#include "core/adjust/linux_identity.h"
#include "core/adjust/nics.h"
#include "core/adjust/text_edit.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr const char* kUnconfigured = "etc/.UNCONFIGURED";
constexpr const char* kGone = "removed: it named the old system";
constexpr std::array<std::string_view, 3> kInterfaceFiles = {"hostname.", "hostname6.", "dhcp."};

constexpr std::array<const char*, 17> kIdentityPaths = {"etc/defaultdomain",
                                                        "etc/defaultrouter",
                                                        "etc/inet/netmasks",
                                                        "etc/netmasks",
                                                        "etc/resolv.conf",
                                                        "etc/.rootkey",
                                                        "etc/hostid",
                                                        "etc/krb5/krb5.keytab",
                                                        "var/ldap/ldap_client_cache",
                                                        "var/ldap/ldap_client_file",
                                                        "var/ldap/ldap_client_cred",
                                                        "var/ldap/cachemgr.log",
                                                        "var/nis",
                                                        "var/yp/binding",
                                                        "var/crypto/random-seed",
                                                        "etc/iscsi/initiatorname",
                                                        "etc/.sysidconfig.apps"};

constexpr const char* kHosts = "#\n# Internet host table\n#\n127.0.0.1\tlocalhost\n";

struct InterfaceFile {
    std::string name;       // "hostname.e1000g0"
    std::string_view kind;  // "hostname."
    std::string interface;
};

std::optional<InterfaceFile> interface_file(const std::string& name) {
    for (const std::string_view kind : kInterfaceFiles) {
        if (name.starts_with(kind) && name.size() > kind.size())
            return InterfaceFile{name, kind, name.substr(kind.size())};
    }
    return std::nullopt;
}

// What hostname.IF says: an address, or a name that etc/inet/hosts resolves.
std::vector<std::string> addresses_of(std::string_view hostname_file, std::string_view hosts) {
    const auto words = split_words(bare(hostname_file.substr(0, hostname_file.find('\n'))));
    if (words.empty()) return {};
    const std::string_view name = words.front();
    if (name.find_first_not_of("0123456789./") == std::string_view::npos) return {std::string(name)};
    for (const std::string_view line : lines_with_ends(hosts)) {
        const auto entry = split_words(bare(line));
        if (entry.size() > 1 && entry[0].front() != '#' &&
            std::find(entry.begin() + 1, entry.end(), name) != entry.end()) {
            return {std::string(entry[0])};
        }
    }
    return {};
}

Result<std::vector<InterfaceFile>> interface_files(ImageEditor& image) {
    std::vector<InterfaceFile> files;
    ZF_TRY(const std::vector<std::string> names, image.names("etc"));
    for (const std::string& name : names) {
        if (auto file = interface_file(name); file && !is_own_interface(file->interface))
            files.push_back(*std::move(file));
    }
    return files;
}

Result<NicPlan> plan_of(ImageEditor& image, const std::vector<InterfaceFile>& files, const ZoneConfig& zone) {
    ZF_TRY(const auto hosts, image.text("etc/inet/hosts"));
    std::vector<ImageNic> nics;
    for (const InterfaceFile& file : files) {
        ImageNic nic{file.interface, {}};
        if (file.kind == "hostname.") {
            ZF_TRY(const auto text, image.text("etc/" + file.name));
            nic.addresses = addresses_of(text.value_or(""), hosts.value_or(""));
        }
        nics.push_back(std::move(nic));
    }
    return assign_nics(nics, zone);
}

Status rename_interface_files(ImageEditor& image, const std::vector<InterfaceFile>& files, const NicMap& map) {
    for (const InterfaceFile& file : files) {
        const auto target = map.find(file.interface);
        const std::string path = "etc/" + file.name;
        if (target == map.end()) {
            ZF_TRY_STATUS(image.put_aside(AdjustmentKind::network, path, "turned off"));
        } else if (target->second.name != file.interface) {
            const std::string name = std::string(file.kind) + target->second.name;
            ZF_TRY_STATUS(image.rename(AdjustmentKind::network, path, name, "renamed to " + name));
        }
    }
    return {};
}

Status save_old_tables(ImageEditor& image) {
    constexpr AdjustmentKind kKind = AdjustmentKind::identity;
    if (image.exists(kUnconfigured)) return {};  // adjusted before: what is there now is not the old one
    ZF_TRY(const auto vfstab, image.text("etc/vfstab"));
    for (const std::string_view line : lines_with_ends(vfstab.value_or(""))) {
        const auto words = split_words(bare(line));
        if (words.size() < 4 || words[0].front() == '#' || words[3] != "nfs") continue;
        ZF_TRY_STATUS(image.write(kKind, "etc/vfstab.orig", *vfstab, 0644, "vfstab as it was"));
        break;
    }
    return {};
}

Status forget_services_of_names(ImageEditor& image) {
    constexpr AdjustmentKind kKind = AdjustmentKind::identity;
    if (image.exists("etc/nsswitch.files")) {
        ZF_TRY(const auto files, image.text("etc/nsswitch.files"));
        if (files) ZF_TRY_STATUS(image.write(kKind, "etc/nsswitch.conf", *files, 0644, "names come from files"));
    }
    ZF_TRY(const auto timezone, image.text("etc/TIMEZONE"));
    if (!timezone) return {};
    std::string edited;
    for (const std::string_view line : lines_with_ends(*timezone)) {
        edited += bare(line).starts_with("TZ=") ? std::string("TZ=PST8PDT\n") : std::string(line);
    }
    return image.edit(kKind, "etc/TIMEZONE", edited, "time zone: PST8PDT, until the first boot");
}

}  // namespace

Status adjust_solaris_directories(ImageEditor& image) {
    constexpr AdjustmentKind kKind = AdjustmentKind::system;
    ZF_TRY_STATUS(image.erase(kKind, "devices", "removed: the global zone's devices"));
    ZF_TRY_STATUS(image.directory(kKind, "dev", 0755));
    ZF_TRY_STATUS(image.directory(kKind, "proc", 0555));
    ZF_TRY_STATUS(image.directory(kKind, "system/contract", 0555));
    ZF_TRY_STATUS(image.directory(kKind, "system/object", 0555));
    ZF_TRY_STATUS(image.directory(kKind, "tmp", 01777));
    ZF_TRY_STATUS(image.directory(kKind, "var/run", 01755));
    ZF_TRY_STATUS(image.directory(kKind, "etc/svc/volatile", 0755));
    return image.write(kKind, "etc/mnttab", "", 0444, "emptied: a running system fills it");
}

Status adjust_solaris_network(ImageEditor& image, const ZoneConfig& zone, bool unconfigure) {
    ZF_TRY(const std::vector<InterfaceFile> files, interface_files(image));
    NicPlan plan;
    const bool is_moved = zone.ip_type == IpType::exclusive && !unconfigure;
    if (is_moved) {
        ZF_TRY(plan, plan_of(image, files, zone));
    }
    for (std::string& warning : plan.warnings) image.warn(std::move(warning));
    ZF_TRY_STATUS(rename_interface_files(image, files, plan.map));
    if (is_moved) return {};
    return image.put_aside(AdjustmentKind::network, "etc/defaultrouter", "turned off");
}

std::string sysidcfg_of(const Sysid& sysid, std::string_view zone_name) {
    const std::string name = sysid.hostname.empty() ? std::string(zone_name) : sysid.hostname;
    std::string out = "system_locale=" + (sysid.locale.empty() ? std::string("C") : sysid.locale) +
                      "\nterminal=vt100\nnetwork_interface=PRIMARY {hostname=" + name +
                      "}\nsecurity_policy=NONE\nnfs4_domain=dynamic\nname_service=";
    if (sysid.name_servers.empty()) {
        out += "NONE\n";
    } else {
        out += "DNS {" + (sysid.search.empty() ? std::string() : "domain_name=" + sysid.search + " ") +
               "name_server=" + join(sysid.name_servers, ",") + "}\n";
    }
    return out + "timezone=" + (sysid.timezone.empty() ? std::string("UTC") : sysid.timezone) +
           "\nroot_password=" + (sysid.root_password == "*" ? std::string("*LK*") : sysid.root_password) + "\n";
}

Status unconfigure_solaris(ImageEditor& image, const std::string& zone_name, const std::optional<Sysid>& sysid) {
    constexpr AdjustmentKind kKind = AdjustmentKind::identity;
    ZF_TRY_STATUS(save_old_tables(image));
    for (const char* path : kIdentityPaths) {
        if (!image.link_target(path)) ZF_TRY_STATUS(image.erase(kKind, path, kGone));
    }
    ZF_TRY(const auto hosts, image.text("etc/inet/hosts"));
    if (hosts && *hosts != kHosts) {
        ZF_TRY_STATUS(image.write(kKind, "etc/inet/hosts.saved", *hosts, 0444, "hosts as it was"));
        ZF_TRY_STATUS(image.edit(kKind, "etc/inet/hosts", kHosts, "the default table; the old one is hosts.saved"));
    }
    ZF_TRY_STATUS(forget_services_of_names(image));
    ZF_TRY_STATUS(image.write(kKind, "etc/nodename", "", 0644, "the first boot sets it"));
    ZF_TRY(const std::vector<std::string> keys, image.names("etc/ssh"));
    for (const std::string& key : keys) {
        if (key.starts_with("ssh_host_")) ZF_TRY_STATUS(image.erase(kKind, "etc/ssh/" + key, kGone));
    }
    ZF_TRY(const auto shadow, image.text("etc/shadow"));
    if (shadow) {
        ZF_TRY_STATUS(image.edit(kKind, "etc/shadow", shadow_with_root_password(*shadow, sysid ? "*LK*" : ""),
                                 "root's password removed: the first boot sets it"));
    }
    if (image.exists("etc/.sysIDtool.state")) {
        ZF_TRY_STATUS(image.erase(kKind, "etc/.sysIDtool.state", "removed: the first boot asks"));
    }
    if (sysid) {
        ZF_TRY_STATUS(image.write(kKind, "etc/sysidcfg", sysidcfg_of(*sysid, zone_name), 0600,
                                  "answers what the first boot asks"));
    }
    return image.write(kKind, kUnconfigured, "", 0644, "the first boot asks");
}

}  // namespace zoneferry
