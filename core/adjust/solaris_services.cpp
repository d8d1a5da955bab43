#include "core/adjust/solaris_services.h"

#include <algorithm>
#include <array>

#include "core/adjust/limits.h"
#include "core/adjust/text_edit.h"
#include "core/base/text.h"
#include "core/packages/limits.h"
#include "core/packages/svr4/contents.h"
#include "core/packages/svr4/pkginfo.h"
#include "core/zone/xml.h"

namespace zoneferry {
namespace {

constexpr AdjustmentKind kKind = AdjustmentKind::services;
constexpr const char* kProfile = "var/svc/profile/site.xml";
constexpr const char* kManifests = "/var/svc/manifest/";
constexpr std::string_view kBegin = "<!-- p2v begin -->\n";
constexpr std::string_view kEnd = "<!-- p2v end -->\n";
constexpr std::string_view kBundleEnd = "</service_bundle>";
constexpr std::string_view kNewProfile = R"(<?xml version='1.0'?>
<!DOCTYPE service_bundle SYSTEM '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>
<service_bundle type='profile' name='site'>
</service_bundle>
)";

constexpr std::array kDisabled = {
    "network/nfs/server:default",
    "network/shares/group:default",
    "network/shares/group:zfs",
    "network/smb/server:default",
    "network/iscsi_initiator:default",
    "network/iscsi/initiator:default",
    "network/ntp:default",
    "network/ntp4:default",
    "application/virtualbox/webservice:default",
    "system/hal:default",
    "system/power:default",
    "system/picl:default",
    "system/fmd:default",
    "system/zones:default",
    "system/metainit:default",
    "system/mdmonitor:default",
    "system/dumpadm:default",
};
constexpr std::array kDisabledInSharedStack = {
    "network/physical:nwam",
    "network/routing-setup:default",
    "network/routing/route:default",
    "network/routing/ripng:default",
    "network/routing/ndp:default",
    "network/routing/rdisc:default",
    "network/routing/legacy-routing:ipv4",
    "network/routing/legacy-routing:ipv6",
    "network/ipfilter:default",
    "network/dhcp-server:default",
};

// Goes into XML and, some day, into a command.
bool is_service_name(std::string_view name) {
    return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/_-.,").find(c) != std::string_view::npos;
    });
}

std::string block_for(const ServiceStates& states) {
    std::string out(kBegin);
    for (const auto& [instance, is_enabled] : states) {
        const std::size_t colon = instance.rfind(':');
        out += "  <service name='" + instance.substr(0, colon) + "' version='1' type='service'>\n    <instance name='" +
               instance.substr(colon + 1) + "' enabled='" + (is_enabled ? "true" : "false") + "'/>\n  </service>\n";
    }
    return out + std::string(kEnd);
}

Result<std::set<std::string, std::less<>>> hollow_packages(ImageEditor& image) {
    std::set<std::string, std::less<>> hollow;
    ZF_TRY(const std::vector<std::string> names, image.names("var/sadm/pkg"));
    for (const std::string& name : names) {
        const std::string path = "var/sadm/pkg/" + name + "/pkginfo";
        if (!is_svr4_package_name(name)) continue;
        ZF_TRY(const auto text, image.text(path, kPkginfoBytesMax));
        const auto package = parse_pkginfo(text.value_or(""), path);
        if (package && package->hollow) hollow.insert(name);
    }
    return hollow;
}

// The manifests that nobody but hollow packages brought, below the root.
Result<std::vector<std::string>> hollow_manifests(ImageEditor& image) {
    std::vector<std::string> manifests;
    ZF_TRY(const auto hollow, hollow_packages(image));
    if (hollow.empty()) return manifests;
    constexpr const char* kContents = "var/sadm/install/contents";
    ZF_TRY(const auto contents, image.text(kContents, kAdjustContentsBytesMax));
    if (!contents) return manifests;
    const Status read = for_each_contents_entry(*contents, kContents, [&](const ContentsEntry& entry) -> Status {
        const bool is_manifest = entry.type == 'f' && entry.path.starts_with(kManifests) && is_plain_path(entry.path);
        if (!is_manifest) return {};
        ContentsEntry rest = entry;
        ContentsOwner owner;
        bool is_hollow = true;
        while (next_owner(rest, owner)) is_hollow = is_hollow && hollow.contains(owner.package);
        if (is_hollow && manifests.size() < kAdjustNamesMax) manifests.emplace_back(entry.path.substr(1));
        return {};
    });
    if (!read) image.warn(read.error().text() + ": services of hollow packages were not looked for");
    return manifests;
}

Status turn_off_hollow_services(ImageEditor& image, ServiceStates& states) {
    ZF_TRY(const std::vector<std::string> manifests, hollow_manifests(image));
    for (const std::string& path : manifests) {
        ZF_TRY(auto text, image.text(path));
        if (!text) {  // adjusted before?
            ZF_TRY(text, image.text(std::string(kBackupDirectory) + "/" + path));
        }
        if (!text) continue;
        const auto instances = instances_of_manifest(*text, printable(path));
        if (!instances) {
            image.warn(instances.error().text() + ": its services were not turned off");
            continue;
        }
        for (const std::string& instance : *instances) states.insert_or_assign(instance, false);
        ZF_TRY_STATUS(image.put_aside(kKind, path, "manifest of a hollow package put aside"));
    }
    return {};
}

}  // namespace

Result<std::vector<std::string>> instances_of_manifest(std::string_view manifest, std::string_view file) {
    ZF_TRY(const XmlDocument document, XmlDocument::load(manifest, file));
    std::vector<std::string> instances;
    if (document.root().name() != std::string_view("service_bundle")) {
        return document.error(document.root(), "is no service_bundle");
    }
    for (const pugi::xml_node service : document.root().children("service")) {
        const std::string name = service.attribute("name").value();
        if (!is_service_name(name)) return document.error(service, "has no proper name");
        if (service.child("create_default_instance")) instances.push_back(name + ":default");
        for (const pugi::xml_node instance : service.children("instance")) {
            const std::string_view of = instance.attribute("name").value();
            if (!is_service_name(of)) return document.error(instance, "has no proper name");
            instances.push_back(name + ":" + std::string(of));
        }
    }
    return instances;
}

std::optional<std::string> profile_with(std::string_view profile, const ServiceStates& states) {
    std::string text(profile);
    const std::size_t begin = text.find(kBegin);
    const std::size_t end = text.find(kEnd);
    if (begin != std::string::npos && end != std::string::npos && begin < end) {
        text.erase(begin, end + kEnd.size() - begin);
    }
    const std::size_t bundle_end = text.rfind(kBundleEnd);
    if (bundle_end == std::string::npos) return std::nullopt;
    return text.insert(bundle_end, block_for(states));
}

Status adjust_solaris_services(ImageEditor& image, IpType ip_type) {
    ServiceStates states;
    for (const char* instance : kDisabled) states.emplace(instance, false);
    if (ip_type == IpType::shared) {
        for (const char* instance : kDisabledInSharedStack) states.emplace(instance, false);
        states.emplace("network/physical:default", true);
    }
    ZF_TRY_STATUS(turn_off_hollow_services(image, states));
    const std::string done = "disabled services that a zone cannot use";
    if (!image.exists(kProfile)) {
        return image.write(kKind, kProfile, profile_with(kNewProfile, states).value(), 0644, done);
    }
    ZF_TRY(const auto profile, image.text(kProfile));
    if (!profile) return {};
    const auto edited = profile_with(*profile, states);
    if (!edited) {
        image.warn("/" + std::string(kProfile) + " is no profile: services were not turned off");
        return {};
    }
    return image.edit(kKind, kProfile, *edited, done);
}

}  // namespace zoneferry
