// A configuration as zonecfg shows it: global properties, and resources with named properties. One table says which
// properties a resource has; setting, showing, exporting, selecting and removing all work from it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/zone/config.h"

namespace zoneferry {

struct Resource {
    std::string
        type;  // net | fs | storage | inherit-pkg-dir | attr | device | rctl | dataset | capped-memory | dedicated-cpu
    std::vector<std::pair<std::string, std::string>> properties;  // in order; "options" and "value" may repeat

    std::string get(std::string_view property) const;  // the first; empty: none
    std::vector<std::string> all(std::string_view property) const;
    bool operator==(const Resource&) const = default;
};

struct ResourceType {
    const char* name;
    std::vector<const char*> properties;
    std::vector<const char*> required;
    const char* repeated;  // the property that may be added several times; nullptr: none
};
// nullptr: there is no such type.
const ResourceType* resource_type(std::string_view name);
const std::vector<ResourceType>& resource_types();

std::vector<Resource> resources_of(const ZoneConfig& config);
// Replaces all resources of the configuration. Errc::invalid for a value that cannot be understood.
Status set_resources(ZoneConfig& config, const std::vector<Resource>& resources);

// The global properties, in the order shown: zonepath, brand, autoboot, bootargs, pool, limitpriv, scheduling-class,
// ip-type.
std::vector<std::pair<std::string, std::string>> global_properties(const ZoneConfig& config);
Status set_global_property(ZoneConfig& config, std::string_view property, const std::string& value);

}  // namespace zoneferry
