// The package database of a zone that got only some of the host's packages, and the links of update-alternatives.
#pragma once

#include <string>

#include "core/image/host_packages.h"

namespace zoneferry {

Status write_dpkg_database(int host_root, const DpkgDatabase& database, const HostPackagesPlan& plan,
                           ImageWriter& writer);

// An alternative whose present choice the zone does not have is left out.
Status write_alternatives(int host_root, const HostPackagesPlan& plan, ImageWriter& writer);

// The lines of a trigger file ("PATH PACKAGE[/noawait]" or "PACKAGE[/noawait]") whose package is in the zone. Pure.
std::string filter_triggers(std::string_view text, const HostPackagesPlan& plan);

// One alternative as dpkg keeps it: mode, link, slaves (name, link) up to an empty line. Pure.
struct Alternative {
    std::string name;
    std::vector<std::pair<std::string, std::string>> links;  // {name in /etc/alternatives, link that points to it}
};
Alternative parse_alternative(const std::string& name, std::string_view text);

}  // namespace zoneferry
