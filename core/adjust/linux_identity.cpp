#include "core/adjust/linux_identity.h"

#include <algorithm>
#include <array>

#include "core/adjust/ini_file.h"
#include "core/adjust/text_edit.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr AdjustmentKind kKind = AdjustmentKind::identity;
constexpr const char* kGone = "removed: it named the old system";
constexpr const char* kAsk = "etc/zoneferry/first-boot";
constexpr const char* kUnconfigured = "etc/.UNCONFIGURED";
constexpr const char* kHostKeyUnit = "etc/systemd/system/zoneferry-ssh-host-keys.service";

constexpr std::array<const char*, 22> kIdentityPaths = {"var/lib/dbus/machine-id",
                                                        "var/lib/systemd/random-seed",
                                                        "var/lib/systemd/credential.secret",
                                                        "var/lib/urandom/random-seed",
                                                        "var/lib/misc/random-seed",
                                                        "var/lib/random-seed",
                                                        "var/lib/NetworkManager",
                                                        "var/lib/dhcpcd",
                                                        "var/lib/dhcpcd5",
                                                        "var/lib/cloud",
                                                        "var/lib/zoneferry",
                                                        "var/lib/systemd/netif",
                                                        "var/lib/systemd/network",
                                                        "etc/machine-info",
                                                        "etc/hostid",
                                                        "etc/krb5.keytab",
                                                        "etc/iscsi/initiatorname.iscsi",
                                                        "etc/nvme/hostnqn",
                                                        "etc/nvme/hostid",
                                                        "etc/wpa_supplicant/wpa_supplicant.conf",
                                                        "etc/wireguard",
                                                        "etc/ssh/ssh_host_key"};

constexpr const char* kAskScript = R"(#!/bin/sh
# Written by zoneadm install -u: asks once, on the zone's console, for root's password; then becomes the getty.
if [ -e /etc/.UNCONFIGURED ]; then
    echo
    echo "This zone was installed from the image of another system: give its root user a password."
    for try in 1 2 3; do
        passwd root && rm -f /etc/.UNCONFIGURED && break
    done
fi
exec "$@"
)";

constexpr const char* kHostKeyText = R"([Unit]
Description=New ssh host keys for a zone that had another system's
Before=ssh.service ssh.socket sshd.service
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key
ConditionPathExists=/usr/bin/ssh-keygen

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
)";

Status remove_matching(ImageEditor& image, const std::string& directory, std::string_view prefix,
                       std::string_view suffix) {
    ZF_TRY(const std::vector<std::string> names, image.names(directory));
    for (const std::string& name : names) {
        if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
        ZF_TRY_STATUS(image.erase(kKind, directory + "/" + name, kGone));
    }
    return {};
}

Status renew_ssh_host_keys(ImageEditor& image) {
    ZF_TRY_STATUS(remove_matching(image, "etc/ssh", "ssh_host_", ""));
    if (!image.exists("usr/sbin/sshd")) return {};
    if (!image.is_directory("etc/systemd/system")) {
        image.warn("the zone has no ssh host keys and no systemd that makes them: run ssh-keygen -A in it");
        return {};
    }
    ZF_TRY_STATUS(image.write(kKind, kHostKeyUnit, kHostKeyText, 0644, "makes new ssh host keys at boot"));
    return image.link(kKind, "etc/systemd/system/multi-user.target.wants/zoneferry-ssh-host-keys.service",
                      "/" + std::string(kHostKeyUnit), "makes new ssh host keys at boot");
}

Status rename_system(ImageEditor& image, const std::string& name) {
    ZF_TRY(const auto old, image.text("etc/hostname"));
    const std::string old_name = old ? std::string(bare(*old)) : std::string();
    ZF_TRY_STATUS(image.write(kKind, "etc/hostname", name + "\n", 0644, "host name: " + name));
    if (image.exists("etc/mailname")) {
        ZF_TRY_STATUS(image.write(kKind, "etc/mailname", name + "\n", 0644, "host name: " + name));
    }
    ZF_TRY(const auto hosts, image.text("etc/hosts"));
    if (!hosts) return {};
    return image.edit(kKind, "etc/hosts", hosts_for_zone(*hosts, old_name, name), "host name: " + name);
}

Status set_place(ImageEditor& image, const Sysid& sysid) {
    if (!sysid.timezone.empty()) {
        ZF_TRY_STATUS(image.link(kKind, "etc/localtime", "/usr/share/zoneinfo/" + sysid.timezone,
                                 "time zone: " + sysid.timezone));
        ZF_TRY_STATUS(image.write(kKind, "etc/timezone", sysid.timezone + "\n", 0644, "time zone: " + sysid.timezone));
    }
    if (sysid.locale.empty()) return {};
    return image.write(kKind, "etc/default/locale", "LANG=" + sysid.locale + "\n", 0644, "locale: " + sysid.locale);
}

Status set_name_servers(ImageEditor& image, const Sysid& sysid) {
    if (sysid.name_servers.empty()) {
        // A link belongs to a resolver that writes what it points to.
        if (image.link_target("etc/resolv.conf")) return {};
        return image.erase(kKind, "etc/resolv.conf", kGone);
    }
    std::string text;
    if (!sysid.search.empty()) text += "search " + sysid.search + "\n";
    for (const std::string& server : sysid.name_servers) text += "nameserver " + server + "\n";
    return image.write(kKind, "etc/resolv.conf", text, 0644, "name servers of the sysid file");
}

Result<std::string> getty_unit(ImageEditor& image) {
    for (const char* path :
         {"usr/lib/systemd/system/console-getty.service", "lib/systemd/system/console-getty.service"}) {
        if (!image.exists(path)) continue;
        ZF_TRY(const auto text, image.text(path));
        if (text) return asking_getty(*text);
    }
    return std::string();
}

Status ask_at_first_boot(ImageEditor& image) {
    ZF_TRY(const std::string getty, getty_unit(image));
    if (getty.empty() || !image.exists("usr/bin/passwd")) {
        image.warn("root's password is locked: set one with zoneadm login and passwd, if it needs one");
        return {};
    }
    ZF_TRY_STATUS(image.write(kKind, kAsk, kAskScript, 0755, "the first boot asks for root's password"));
    ZF_TRY_STATUS(image.write(kKind, "etc/systemd/system/console-getty.service.d/zoneferry-first-boot.conf", getty,
                              0644, "the first boot asks for root's password"));
    return image.write(kKind, kUnconfigured, "", 0644, "the first boot asks for root's password");
}

Status set_root_password(ImageEditor& image, const std::optional<Sysid>& sysid) {
    ZF_TRY(const auto shadow, image.text("etc/shadow"));
    if (shadow) {
        const std::string password = sysid ? sysid->root_password : "*";
        ZF_TRY_STATUS(
            image.edit(kKind, "etc/shadow", shadow_with_root_password(*shadow, password),
                       sysid && password != "*" ? "root's password: the sysid file's" : "root's password: locked"));
    }
    ZF_TRY_STATUS(image.erase(kKind, "etc/shadow-", kGone));
    if (sysid) return {};
    return ask_at_first_boot(image);
}

}  // namespace

std::string shadow_with_root_password(std::string_view shadow, std::string_view password) {
    std::string out;
    for (const std::string_view line : lines_with_ends(shadow)) {
        if (!line.starts_with("root:")) {
            out += line;
            continue;
        }
        const auto fields = split(line, ':');
        out += "root:" + std::string(password);
        // The third field tells when it was changed: unknown.
        for (std::size_t i = 2; i < fields.size(); ++i) out += ":" + (i == 2 ? std::string() : std::string(fields[i]));
        if (out.back() != '\n' && line.ends_with('\n')) out += '\n';
    }
    return out;
}

std::string hosts_for_zone(std::string_view hosts, std::string_view old_name, std::string_view new_name) {
    const auto names_old = [&](std::string_view word) {
        return !old_name.empty() && old_name != "localhost" &&
               (word == old_name || (word.starts_with(old_name) && word[old_name.size()] == '.'));
    };
    std::string out;
    bool is_named = false;
    for (const std::string_view line : lines_with_ends(hosts)) {
        const auto words = split_words(bare(line));
        const bool is_comment = words.empty() || words[0].front() == '#';
        const bool is_right = words.size() == 2 && words[0] == "127.0.1.1" && words[1] == new_name;
        const bool is_old =
            !is_comment && (words[0] == "127.0.1.1" || std::any_of(words.begin(), words.end(), names_old));
        is_named = is_named || is_right;
        if (!is_old || is_right) out += line;
    }
    if (is_named) return out;
    add_line(out, "127.0.1.1\t" + std::string(new_name));
    return out;
}

// KillMode: passwd ignores what asks it to end; without it every halt before the answer would wait for a time-out.
std::string asking_getty(std::string_view unit) {
    const std::vector<IniSection> sections = parse_ini(unit);
    const IniSection* service = find_section(sections, "Service");
    const std::string_view* start = service == nullptr ? nullptr : service->find("ExecStart");
    if (start == nullptr) return "";
    const std::size_t command = start->find('/');
    if (command == std::string_view::npos) return "";
    return "[Service]\nExecStart=\nExecStart=" + std::string(start->substr(0, command)) + "/" + kAsk + " " +
           std::string(start->substr(command)) + "\nKillMode=mixed\n";
}

Status unconfigure_linux(ImageEditor& image, const std::string& zone_name, const std::optional<Sysid>& sysid) {
    const std::string name = sysid && !sysid->hostname.empty() ? sysid->hostname : zone_name;
    ZF_TRY_STATUS(rename_system(image, name));
    // "" is what a systemd that made a new id at boot is told to do; a missing file would be a first boot.
    ZF_TRY_STATUS(image.write(kKind, "etc/machine-id", "", 0444, "emptied: a new one is made at boot"));
    for (const char* path : kIdentityPaths) {
        // A link (dbus' machine-id) points to what was renewed.
        if (!image.link_target(path)) ZF_TRY_STATUS(image.erase(kKind, path, kGone));
    }
    ZF_TRY_STATUS(remove_matching(image, "var/lib/dhcp", "", ".leases"));
    ZF_TRY_STATUS(renew_ssh_host_keys(image));
    ZF_TRY_STATUS(set_name_servers(image, sysid.value_or(Sysid())));
    if (sysid) ZF_TRY_STATUS(set_place(image, *sysid));
    return set_root_password(image, sysid);
}

}  // namespace zoneferry
