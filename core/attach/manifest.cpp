#include "core/attach/manifest.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/text.h"
#include "core/packages/limits.h"
#include "core/packages/svr4/pkginfo.h"
#include "core/zone/config_xml.h"

namespace zoneferry {
namespace {

using Node = pugi::xml_node;

constexpr const char* kDoctype = "zone PUBLIC \"-//Zoneferry//DTD Zone Manifest 1//EN\" \"zoneferry-manifest.dtd\"";

struct HostField {
    const char* attribute;
    std::string HostFacts::*member;
};
constexpr std::array<HostField, 8> kHostFields = {{{"name", &HostFacts::host},
                                                   {"id", &HostFacts::host_id},
                                                   {"machine", &HostFacts::machine},
                                                   {"package-system", &HostFacts::package_system},
                                                   {"package-architecture", &HostFacts::package_architecture},
                                                   {"kernel", &HostFacts::kernel_release},
                                                   {"os", &HostFacts::os_name},
                                                   {"runtime", &HostFacts::runtime}}};
constexpr std::size_t kHostFieldBytesMax = 256;

std::string text_of(const Node& node, const char* name) { return node.attribute(name).value(); }

void set(Node node, const char* name, const std::string& value) {
    node.append_attribute(name).set_value(value.c_str());
}

// What is compared and shown: not empty, short, and of printable characters only.
bool is_shown_as_it_is(const std::string& text, std::size_t bytes_max) {
    return !text.empty() && text.size() <= bytes_max && printable(text) == text;
}

bool is_plain(const std::string& text, std::size_t bytes_max) {
    return text.find(' ') == std::string::npos && is_shown_as_it_is(text, bytes_max);
}

// An SVR4 version may hold blanks ("1.0 beta"), but not around it.
bool is_version(const std::string& text) {
    return trim(text) == text && is_shown_as_it_is(text, kPackageVersionBytesMax);
}

// Where a child of <zone> must stand.
int place_of(std::string_view name) {
    if (name == "host") return 1;
    if (name == "package" || name == "patch") return 2;
    if (name == "dev-perm") return 3;
    return name == "update" ? 4 : 0;
}

class ManifestReader {
public:
    explicit ManifestReader(const XmlDocument& xml) : xml_(xml) {}

    Result<Manifest> read() {
        const Node zone = xml_.root();
        ZF_TRY(manifest_.config, read_zone_element(xml_, {"host", "package", "patch", "dev-perm", "update"}));
        if (!is_native_brand(manifest_.config.brand)) {
            return Error(Errc::unsupported,
                         xml_.error(zone, "the zone is of brand " + printable(manifest_.config.brand) +
                                              ", and only native (or cluster) ones are known here")
                             .sentence());
        }
        if (const Status sound = verify_config(manifest_.config); !sound) {
            return xml_.error(zone, sound.error().sentence());
        }
        manifest_.inventory.system = PackageSystem::svr4;  // unless a host element says otherwise
        for (const Node& child : zone.children()) {
            if (child.type() != pugi::node_element) continue;
            const std::string_view name = child.name();
            if (place_of(name) < place_) {
                return xml_.error(child, shown_element(child) + " stands too late: the order is configuration, host, " +
                                             "packages with their patches, dev-perm, update");
            }
            place_ = place_of(name);
            if (name == "host") ZF_TRY_STATUS(read_host(child));
            if (name == "package") ZF_TRY_STATUS(read_package(child));
            if (name == "patch") ZF_TRY_STATUS(read_patch(child));
            if (name == "dev-perm") ZF_TRY_STATUS(read_device(child));
            if (name == "update") ZF_TRY_STATUS(read_update(child));
        }
        manifest_.source.package_system = package_system_name(manifest_.inventory.system);
        sort_inventory(manifest_.inventory);
        return std::move(manifest_);
    }

private:
    Status read_host(const Node& node) {
        if (has_host_) return xml_.error(node, "<host> is there twice");
        has_host_ = true;
        ZF_TRY_STATUS(xml_.check_attributes(
            node, {"name", "id", "machine", "package-system!", "package-architecture", "kernel", "os", "runtime"}));
        ZF_TRY_STATUS(xml_.check_empty(node));
        for (const HostField& field : kHostFields) {
            std::string value = text_of(node, field.attribute);
            if (value.size() > kHostFieldBytesMax || printable(value) != value) {
                return xml_.error(node,
                                  "attribute '" + std::string(field.attribute) + "' of <host> is too long or no text");
            }
            manifest_.source.*field.member = std::move(value);
        }
        const auto system = package_system_from_name(manifest_.source.package_system);
        if (!system) {
            return xml_.error(node,
                              "package system '" + printable(manifest_.source.package_system) + "' is not known here");
        }
        manifest_.inventory.system = *system;
        return {};
    }

    Status read_package(const Node& node) {
        ZF_TRY_STATUS(xml_.check_attributes(node, {"name!", "version!", "reason"}));
        ZF_TRY_STATUS(xml_.check_empty(node));
        Package package;
        package.name = text_of(node, "name");
        package.version = text_of(node, "version");
        if (!is_plain(package.name, kPackageNameBytesMax)) {
            return xml_.error(node, "package name '" + printable(package.name.substr(0, 80)) + "' is not usable");
        }
        if (!is_version(package.version)) {
            return xml_.error(node, "the version of package " + package.name + " is not usable");
        }
        const auto reason = dependency_reason_from_name(text_of(node, "reason"));
        if (!reason) return xml_.error(node, "the reason of package " + package.name + " is none that is known here");
        package.reason = *reason;
        if (!names_.insert(package.name).second) {
            return xml_.error(node, "package " + package.name + " is there twice");
        }
        if (names_.size() > kPackagesMax) return xml_.error(node, "there are too many packages");
        patches_.clear();
        into_->packages.push_back(std::move(package));
        return {};
    }

    Status read_patch(const Node& node) {
        if (names_.empty()) return xml_.error(node, "a <patch> stands before any <package>");
        ZF_TRY_STATUS(xml_.check_attributes(node, {"id!"}));
        ZF_TRY(const std::string id, patch_id(node));
        Patch patch;
        patch.id = PatchId::parse(id);
        for (const Node& child : node.children()) {
            if (child.type() == pugi::node_comment) continue;
            const std::string_view name = child.name();
            if (child.type() != pugi::node_element || (name != "obsoletes" && name != "incompatible")) {
                return xml_.error(child, "unknown content in <patch>: '" + printable(name.substr(0, 80)) + "'");
            }
            ZF_TRY_STATUS(xml_.check_attributes(child, {"id!"}));
            ZF_TRY_STATUS(xml_.check_empty(child));
            ZF_TRY(const std::string other, patch_id(child));
            if (name == "obsoletes") patch.obsoletes.push_back(PatchId::parse(other).base);
        }
        std::sort(patch.obsoletes.begin(), patch.obsoletes.end(), patch_base_less);
        patch.obsoletes.erase(std::unique(patch.obsoletes.begin(), patch.obsoletes.end()), patch.obsoletes.end());
        if (!patches_.insert(patch.id.base).second) {
            return xml_.error(node,
                              "patch " + patch.id.base + " is there twice on package " + into_->packages.back().name);
        }
        into_->packages.back().patches.push_back(std::move(patch));
        return {};
    }

    Result<std::string> patch_id(const Node& node) {
        std::string id = text_of(node, "id");
        if (!is_plain(id, kPatchIdBytesMax) || id.front() == '-') {
            return xml_.error(node, "patch id '" + printable(id.substr(0, 80)) + "' is not usable");
        }
        return id;
    }

    Status read_device(const Node& node) {
        ZF_TRY_STATUS(xml_.check_attributes(node, {"name!", "uid!", "gid!", "mode!", "acl!"}));
        ZF_TRY_STATUS(xml_.check_empty(node));
        DevicePermission device;
        device.name = text_of(node, "name");
        const auto uid = parse_number<std::uint32_t>(text_of(node, "uid"));
        const auto gid = parse_number<std::uint32_t>(text_of(node, "gid"));
        const auto mode = parse_number<std::uint32_t>(text_of(node, "mode"), 8);
        if (!is_plain_path("/" + device.name)) {
            return xml_.error(node, "device name '" + printable(device.name.substr(0, 80)) + "' is no path below dev");
        }
        if (!uid || !gid || !mode || *mode > 07777) {
            return xml_.error(node, "uid, gid or mode of device " + printable(device.name) + " is no number in range");
        }
        if (manifest_.devices.size() == kDevicePermissionsMax) return xml_.error(node, "there are too many <dev-perm>");
        device.uid = *uid;
        device.gid = *gid;
        device.mode = *mode;
        device.acl = text_of(node, "acl");
        manifest_.devices.push_back(std::move(device));
        return {};
    }

    Status read_update(const Node& node) {
        if (manifest_.update) return xml_.error(node, "<update> is there twice");
        ZF_TRY_STATUS(xml_.check_attributes(node, {"scope!"}));
        const auto scope = update_scope_from_name(text_of(node, "scope"));
        if (!scope || *scope == UpdateScope::none)
            return xml_.error(node, "the scope of <update> is none that is known");
        ZoneUpdate update;
        update.scope = *scope;
        update.zone.system = manifest_.inventory.system;
        into_ = &update.zone;
        names_.clear();
        for (const Node& child : node.children()) {
            const std::string_view name = child.name();
            if (child.type() == pugi::node_element && name == "package") {
                ZF_TRY_STATUS(read_package(child));
            } else if (child.type() == pugi::node_element && name == "patch") {
                ZF_TRY_STATUS(read_patch(child));
            } else if (child.type() != pugi::node_comment) {
                return xml_.error(child, "unknown content in <update>: '" + printable(name.substr(0, 80)) + "'");
            }
        }
        into_ = &manifest_.inventory;
        sort_inventory(update.zone);
        manifest_.update = std::move(update);
        return {};
    }

    static void sort_inventory(Inventory& inventory) {
        std::sort(inventory.packages.begin(), inventory.packages.end(),
                  [](const Package& a, const Package& b) { return a.name < b.name; });
        for (Package& package : inventory.packages) {
            std::sort(package.patches.begin(), package.patches.end(),
                      [](const Patch& a, const Patch& b) { return patch_base_less(a.id.base, b.id.base); });
        }
    }

    const XmlDocument& xml_;
    Manifest manifest_;
    Inventory* into_ = &manifest_.inventory;
    int place_ = 0;
    bool has_host_ = false;
    std::set<std::string> names_;
    std::set<std::string> patches_;  // bases of the present package
};

void write_packages(const Inventory& inventory, Node zone) {
    for (const Package& package : inventory.packages) {
        Node node = zone.append_child("package");
        set(node, "name", package.name);
        set(node, "version", package.version);
        if (package.reason != DependencyReason::unknown) {
            set(node, "reason", std::string(dependency_reason_name(package.reason)));
        }
        for (const Patch& patch : package.patches) {
            Node child = zone.append_child("patch");
            set(child, "id", patch.id.text());
            for (const std::string& base : patch.obsoletes) set(child.append_child("obsoletes"), "id", base);
        }
    }
}

std::string octal(std::uint32_t mode) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), mode, 8);
    return {digits.data(), end.ptr};
}

void write_devices(const std::vector<DevicePermission>& devices, Node zone) {
    for (const DevicePermission& device : devices) {
        Node node = zone.append_child("dev-perm");
        set(node, "name", device.name);
        set(node, "uid", std::to_string(device.uid));
        set(node, "gid", std::to_string(device.gid));
        set(node, "mode", octal(device.mode));
        set(node, "acl", device.acl);
    }
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view xml, std::string_view file) {
    ZF_TRY(const XmlDocument document, XmlDocument::load(xml, file));
    return ManifestReader(document).read();
}

std::string manifest_text(const Manifest& manifest) {
    pugi::xml_document document;
    Node zone = begin_zone_document(document);
    for (Node child : document.children()) {
        if (child.type() == pugi::node_doctype) child.set_value(kDoctype);
    }
    write_zone_element(manifest.config, zone);
    Node host = zone.append_child("host");
    for (const HostField& field : kHostFields) {
        const std::string& value = manifest.source.*field.member;
        if (!value.empty() && field.member != &HostFacts::package_system) set(host, field.attribute, value);
    }
    set(host, "package-system", std::string(package_system_name(manifest.inventory.system)));
    write_packages(manifest.inventory, zone);
    write_devices(manifest.devices, zone);
    if (manifest.update) {
        Node update = zone.append_child("update");
        set(update, "scope", std::string(update_scope_name(manifest.update->scope)));
        write_packages(manifest.update->zone, update);
    }
    return xml_text(document);
}

}  // namespace zoneferry
