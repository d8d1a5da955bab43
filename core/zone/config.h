// The configuration of a zone: a plain value that holds all that a zone's XML file can say (zonecfg DTD, version 1),
// so that reading and writing it loses nothing. What Linux cannot do yet is kept, and refused at boot, not here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

enum class IpType {
    shared,     // the host's network stack; addresses are put on the host's interface
    exclusive,  // a stack of its own; every net is a veth into the bridge named by `physical`
};
std::string_view ip_type_name(IpType type);

struct NetResource {
    std::string address;    // "192.0.2.17/24", or IPv6; empty: none given
    std::string physical;   // interface (shared) or bridge (exclusive) of the global zone
    std::string defrouter;  // without prefix length; empty: none
    bool operator==(const NetResource&) const = default;
};

struct FsResource {
    std::string special;    // what is mounted: a path of the global zone for lofs
    std::string raw;        // the raw device, for fsck; kept only
    std::string directory;  // where, inside the zone
    std::string type;       // "lofs" is a bind mount
    std::vector<std::string> options;
    bool operator==(const FsResource&) const = default;
};

// The LUN that the zonepath lies on (core/zone/storage.h): mounted by the host that has the zone, and by no other.
struct StorageResource {
    std::string type;       // of the file system: "ext4"
    std::string uuid;       // of the file system
    std::string device;     // what the device carries: "wwid:naa.6001405..."; empty: any, but only one
    std::string directory;  // where it is mounted in the global zone; empty: the zonepath
    std::vector<std::string> options;
    bool operator==(const StorageResource&) const = default;
};

struct AttrResource {
    std::string name;
    std::string type;  // boolean | int | string | uint
    std::string value;
    bool operator==(const AttrResource&) const = default;
};

struct RctlValue {
    std::string priv;    // basic | privileged | system
    std::string limit;   // unsigned number
    std::string action;  // none | deny | signal=...
    bool operator==(const RctlValue&) const = default;
};

struct RctlResource {
    std::string name;  // "zone.max-lwps"
    std::vector<RctlValue> values;
    bool operator==(const RctlResource&) const = default;
};

struct ProcessorSet {
    std::string ncpu_min;
    std::string ncpu_max;
    bool operator==(const ProcessorSet&) const = default;
};

struct ZoneConfig {
    std::string name;      // a ZoneName
    std::string zonepath;  // absolute, in the global zone
    std::string brand = "native";
    bool autoboot = false;
    IpType ip_type = IpType::shared;
    std::string limitpriv;
    std::string bootargs;
    std::string pool;
    std::string scheduling_class;
    std::vector<NetResource> nets;
    std::vector<std::string> inherited_directories;  // inherit-pkg-dir
    std::vector<FsResource> filesystems;
    std::optional<StorageResource> storage;
    std::vector<AttrResource> attrs;
    std::vector<std::string> devices;          // device match
    std::vector<std::string> deleted_devices;  // deleted-device match: obsolete, must stay readable
    std::vector<RctlResource> rctls;
    std::vector<std::string> datasets;
    std::optional<std::string> capped_memory;         // mcap physcap, bytes
    std::optional<std::string> temporary_importance;  // tmp_pool importance
    std::optional<ProcessorSet> dedicated_cpu;        // pset

    bool operator==(const ZoneConfig&) const = default;
};

// "native" and "cluster" are one brand.
bool is_native_brand(std::string_view brand);

// Every rule that the configuration alone can break, one sentence each; empty: it is sound. Pure.
std::vector<std::string> config_problems(const ZoneConfig& config);
// The same as an Error: the first sentence, Errc::invalid.
Status verify_config(const ZoneConfig& config);

// Absolute, at most 1023 bytes, printable, and without "//", "." or ".." parts or a slash at the end; "/" is allowed.
bool is_plain_path(std::string_view path);
// True if path is directory or lies below it.
bool is_at_or_below(std::string_view path, std::string_view directory);

}  // namespace zoneferry
