// A zone's configuration as XML, in the format of Solaris' /etc/zones/NAME.xml:
//
//   <!DOCTYPE zone PUBLIC "-//Sun Microsystems Inc//DTD Zones//EN" "file:///usr/share/lib/xml/dtd/zonecfg.dtd.1">
//   <!-- do not edit -->
//   <zone name zonepath autoboot [ip-type pool limitpriv bootargs brand scheduling-class version="1"]>
//     filesystem(special raw directory type; fsoption(name)*)  inherited-pkg-dir(directory)
//     storage(type uuid device directory; fsoption(name)*): ours, not Solaris'
//     network(address physical defrouter)  device(match)  deleted-device(match)  dataset(name)
//     rctl(name; rctl-value(priv limit action)*)  attr(name type value)  tmp_pool(importance)
//     pset(ncpu_min ncpu_max)  mcap(physcap)
//   </zone>
//
// Children come in any order; a directory, rctl or attr twice is refused. Unknown elements and attributes are refused
// by name: they could carry a meaning that this version would silently drop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/zone/config.h"
#include "core/zone/xml.h"

namespace zoneferry {

// Reads <zone>, the root element. Children named in foreign_children are left to the caller (the manifest's package,
// patch, dev-perm). Checks form, not rules: call verify_config for those.
Result<ZoneConfig> read_zone_element(const XmlDocument& xml,
                                     const std::vector<std::string_view>& foreign_children = {});
// Fills an empty <zone> element.
void write_zone_element(const ZoneConfig& config, pugi::xml_node zone);

// file is what the sentences call the text: "FILE:LINE:COLUMN: ...".
Result<ZoneConfig> parse_zone_document(std::string_view xml, std::string_view file = "configuration");
std::string zone_document(const ZoneConfig& config);

// Declaration, DOCTYPE, a do-not-edit comment, and the empty <zone>, which is returned.
pugi::xml_node begin_zone_document(pugi::xml_document& document);
// The document's text, indented by two blanks.
std::string xml_text(const pugi::xml_document& document);

}  // namespace zoneferry
