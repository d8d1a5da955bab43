// zoneadm attach -F --takeover: a person says that the host which holds a zone's storage cannot run the zone any more.
//
// Who holds it and since when is named; the zone's name has to be typed, or --yes --peer-is-fenced given. If there is
// an executable ROOT/etc/zoneferry/fence it is run as `fence HOST ZONE` before anything is written and must end with 0:
// what cuts HOST off (its power, its path to the storage) is the site's to know. While the lease is held nothing is
// taken. Every takeover is a line in /var/log/zoneferry/audit.log.
#pragma once

#include "agent/programs/zoneadm_verbs.h"

namespace zoneferry {

struct TakeoverArguments {
    bool wanted = false;
    bool yes = false;
    bool fenced = false;
};
// Nothing is done when nobody else holds the zone. The attach follows, with a record that is this host's.
Status take_over(VerbContext& context, const TakeoverArguments& arguments);

}  // namespace zoneferry
