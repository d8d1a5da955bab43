// The manifest of a zone: its configuration and the packages it depends on, as its host had them.
//
// File: <zonepath>/SUNWdetached.xml (renamed to SUNWattached.xml by a forced attach). Format: the zone's
// configuration (core/zone/config_xml.h) with these children of <zone>, in this order:
//
//     host        name id machine package-system package-architecture kernel os runtime      ours; at most one
//     package     name version [reason]          each followed by its patches
//     patch       id="BASE-REVISION"             belongs to the package before it
//       obsoletes   id="BASE"
//     dev-perm    name uid gid mode acl          a device node below <zonepath>/dev
//     update      scope                          between two agents only: the move updates the zone; at most one
//       package, patch                           as above: every package in the zone itself, with the reason if it has
//       one
//
// `host`, `reason` and `update` are ours and optional: a manifest that Solaris wrote has neither, and its package
// system is then svr4. Ours are described by packaging/zoneferry-manifest.dtd, which a reader never fetches. On
// reading, everything is hostile: bounded, unknown elements refused by name, the configuration verified. A package
// that comes twice is refused, and so is a patch of one base on one package (Solaris took the first; it never wrote
// two): else a damaged name could make a package vanish.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/attach/host_facts.h"
#include "core/base/result.h"
#include "core/packages/package.h"
#include "core/packages/update_plan.h"
#include "core/zone/config.h"

namespace zoneferry {

inline constexpr const char* kDetachedName = "SUNWdetached.xml";
inline constexpr const char* kAttachedName = "SUNWattached.xml";
inline constexpr std::uint64_t kManifestBytesMax = 4ULL << 20;  // what load_xml takes: 20,000 packages
inline constexpr std::size_t kDevicePermissionsMax = 10'000;    // a Solaris zone has about 100

// Recorded by Solaris, kept and written again; a Linux zone has none (its /dev is made at boot).
struct DevicePermission {
    std::string name;  // relative to <zonepath>/dev
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t mode = 0;  // permission bits only
    std::string acl;

    bool operator==(const DevicePermission&) const = default;
};

// Update on attach is asked for, and this is what the zone itself holds (its own database, read at the source).
struct ZoneUpdate {
    UpdateScope scope = UpdateScope::dependent;  // never none
    Inventory zone;

    bool operator==(const ZoneUpdate&) const = default;
};

struct Manifest {
    ZoneConfig config;
    HostFacts source;  // empty fields: not told
    Inventory inventory;
    std::vector<DevicePermission> devices;
    std::optional<ZoneUpdate> update;

    bool operator==(const Manifest&) const = default;
};

// Errc::invalid with "FILE:LINE:COLUMN: what"; file is what the sentences call the text.
Result<Manifest> parse_manifest(std::string_view xml, std::string_view file = "manifest");
// parse_manifest(manifest_text(m)) == m for every m with valid values.
std::string manifest_text(const Manifest& manifest);

}  // namespace zoneferry
