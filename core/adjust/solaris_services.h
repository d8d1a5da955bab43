// Services of a Solaris image that cannot work in a zone are disabled by an SMF profile, var/svc/profile/site.xml: SMF
// applies it when the zone boots for the first time. (Its repository is a database of Solaris' own and is not touched.)
// In a profile that is there already our lines are put before its end, between two comments:
//
//     <!-- p2v begin -->
//       <service name='network/nfs/server' version='1' type='service'>
//         <instance name='default' enabled='false'/>
//       </service>
//     <!-- p2v end -->
//
// Disabled: what serves shares, needs hardware, sets the clock or runs zones; with a shared stack also routing and
// network/physical:nwam, while network/physical:default is enabled; and every service whose manifest comes from hollow
// packages only (no files of theirs are in a zone): such a manifest is put aside as well.
#pragma once

#include <map>
#include <set>

#include "core/adjust/image_editor.h"

namespace zoneferry {

// By the instance's name ("network/physical:nwam"): enabled or not.
using ServiceStates = std::map<std::string, bool, std::less<>>;

Status adjust_solaris_services(ImageEditor& image, IpType ip_type);

// Pure parts.
// nullopt: the text is no profile that can be added to.
std::optional<std::string> profile_with(std::string_view profile, const ServiceStates& states);
// The instances of a service manifest; an error if it is none.
Result<std::vector<std::string>> instances_of_manifest(std::string_view manifest, std::string_view file);

}  // namespace zoneferry
