#include "core/adjust/nested.h"

#include <algorithm>
#include <array>

#include "core/adjust/limits.h"
#include "core/adjust/linux_services.h"
#include "core/adjust/text_edit.h"
#include "core/base/text.h"
#include "core/zone/config.h"
#include "core/zone/index.h"

namespace zoneferry {
namespace {

constexpr AdjustmentKind kKind = AdjustmentKind::nested;
constexpr const char* kIndex = "etc/zones/index";
constexpr const char* kNotHere = "containers of the physical system are not started in the zone";

constexpr std::array kRules = {
    ServiceRule{"systemd-nspawn@*.service", kNotHere},
    ServiceRule{"machines.target", kNotHere},
    ServiceRule{"systemd-machined.service", kNotHere},
    ServiceRule{"lxc.service", kNotHere},
    ServiceRule{"lxc@*.service", kNotHere},
    ServiceRule{"lxc-*.service", kNotHere},
    ServiceRule{"lxcfs.service", kNotHere},
    ServiceRule{"lxd*", kNotHere},
    ServiceRule{"snap.lxd.*", kNotHere},
    ServiceRule{"incus*", kNotHere},
    ServiceRule{"docker.*", kNotHere},
    ServiceRule{"containerd.service", kNotHere},
    ServiceRule{"podman*", kNotHere},
    ServiceRule{"libvirt*", kNotHere},
    ServiceRule{"virtqemud.*", kNotHere},
    ServiceRule{"virtlogd.*", kNotHere},
    ServiceRule{"k3s*.service", kNotHere},
    ServiceRule{"kubelet.service", kNotHere},
};

// Where containers keep their data: every entry of these directories is theirs.
constexpr std::array<const char*, 9> kContainerData = {
    "var/lib/machines", "var/lib/lxc",        "var/lib/lxd",        "var/lib/incus",         "var/lib/docker",
    "var/lib/podman",   "var/lib/containerd", "var/lib/containers", "var/lib/libvirt/images"};

constexpr std::array<std::string_view, 22> kSystemDirectories = {
    "bin",  "boot", "dev", "devices", "etc", "kernel", "lib", "lib32", "lib64", "libx32", "platform",
    "proc", "root", "run", "sbin",    "sys", "system", "tmp", "usr",   "vol",   "net",    "home"};

Status delete_zone_files(ImageEditor& image, const ZoneEntry& zone) {
    const std::string name = zone.name.str();
    const std::string relative = zone.zonepath.empty() ? "" : zone.zonepath.substr(1);
    if (!is_plain_path(zone.zonepath) || !is_deletable_zonepath(relative)) {
        image.warn("zone " + name + " of the image lies in " + printable(zone.zonepath) +
                   ", where nothing is deleted: its files are left");
        return {};
    }
    for (const char* part : {"root", "dev", "lu", "SUNWdetached.xml"}) {
        ZF_TRY_STATUS(image.erase(kKind, relative + "/" + part, "deleted, with zone " + name));
    }
    if (!image.is_directory(relative)) return {};
    ZF_TRY(const std::vector<std::string> rest, image.names(relative));
    if (rest.empty()) return image.erase(kKind, relative, "deleted, with zone " + name);
    image.warn("/" + printable(relative) + " of the deleted zone " + name + " holds other files: they are left");
    return {};
}

Status put_configurations_aside(ImageEditor& image) {
    ZF_TRY(const std::vector<std::string> names, image.names("etc/zones"));
    for (const std::string& name : names) {
        // Solaris' templates (SUNWdefault.xml ...) are no zones.
        if (!name.ends_with(".xml") || name.starts_with("SUNW")) continue;
        ZF_TRY_STATUS(image.put_aside(kKind, "etc/zones/" + name, "configuration of a zone put aside"));
    }
    return {};
}

}  // namespace

bool is_deletable_zonepath(std::string_view relative) {
    const auto parts = split(relative, '/');
    if (parts.size() < 2) return false;
    if (parts[0] == "var") return parts.size() >= 4 && parts[1] == "lib" && parts[2] != "dpkg";
    return std::find(kSystemDirectories.begin(), kSystemDirectories.end(), parts[0]) == kSystemDirectories.end();
}

Status delete_nested_zones(ImageEditor& image) {
    ZF_TRY(const auto text, image.text(kIndex));
    if (!text) return {};
    const ZoneIndex index = ZoneIndex::parse(*text);
    const std::vector<ZoneEntry> zones = index.entries();
    if (zones.size() > kAdjustNestedZonesMax) {
        return Error(Errc::invalid, "the image's /etc/zones/index holds " + std::to_string(zones.size()) + " zones");
    }
    for (const std::string& damage : index.damage()) image.warn("/etc/zones/index of the image: " + damage);
    for (const ZoneEntry& zone : zones) {
        // A zone that is only configured has no files.
        if (zone.state != ZoneState::configured) ZF_TRY_STATUS(delete_zone_files(image, zone));
    }
    const EditedText edited = comment_out(*text, image.date(), [&](std::string_view line) {
        const std::vector<ZoneEntry> of_line = ZoneIndex::parse(std::string(line) + "\n").entries();
        return !of_line.empty() && of_line.front().name.str() != "global";
    });
    ZF_TRY_STATUS(image.edit(kKind, kIndex, edited.text, "deleted " + count_of(edited.lines, "zone")));
    return put_configurations_aside(image);
}

Status adjust_linux_containers(ImageEditor& image, bool delete_data) {
    ZF_TRY_STATUS(turn_off_services(image, kKind, kRules));
    for (const char* directory : kContainerData) {
        if (!image.is_directory(directory)) continue;
        ZF_TRY(const std::vector<std::string> names, image.names(directory));
        if (names.empty()) continue;
        if (!delete_data) {
            image.warn("/" + std::string(directory) +
                       " holds containers of the physical system: they do not run in the "
                       "zone; delete them there if they are not needed");
            continue;
        }
        for (const std::string& name : names) {
            ZF_TRY_STATUS(image.erase(kKind, std::string(directory) + "/" + name, "container data deleted"));
        }
    }
    return {};
}

}  // namespace zoneferry
