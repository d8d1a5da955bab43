// `zoneadm install -a|-d`: a physical system's image becomes a zone.
//
//     before the zone is touched    the zone is whole-root; first pass over the archive: it can be read to its end, is
//     a
//                                   whole system, fits this host and is not newer, there is room (a pipe is judged when
//                                   it is unpacked)
//     state incomplete              unpacked; judged again; brought to this host's level (update on attach, in the
//                                   scratch zone); adjusted (core/adjust); log copied into the zone; all made durable
//     state installed
//
// Any failure leaves the zone configured and its zonepath empty (install.h). A killed install leaves the state
// incomplete, and `zoneadm uninstall` mends. Everything is written to /var/log/zoneferry/zones/NAME.install.log, and
// that, at the end, to /var/log/zoneferry-install.log of the zone.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/adjust/adjust.h"
#include "core/attach/finding.h"
#include "core/image/install.h"

namespace zoneferry {

struct P2vOptions {
    AdjustChoices choices;
    InstallProgressCallback progress;                 // may be empty
    std::function<void(std::string_view)> detail;     // each line of the log as it is written; may be empty
    std::function<void(const std::string&)> at_step;  // for tests: a place to die; may be empty
};

enum class P2vEnd {
    installed,
    refused,  // nothing was touched
    undone,   // the zone is configured again; its zonepath is empty, or has the image that was in place
    stuck,    // the zone is incomplete: uninstall first
};

struct P2vOutcome {
    P2vEnd end = P2vEnd::refused;
    std::optional<Error> error;     // unless installed
    std::vector<Finding> findings;  // why the image was refused, if it was for what it is
    InstallReport report;           // its warnings hold all that a person should know
    std::vector<Change> changes;    // what was adjusted
    std::size_t packages_updated = 0;
    std::string log;  // on the host; empty: not even that was begun
};

// source: an image. lock: the zone's.
P2vOutcome install_image(const HostRoot& root, const ZoneLock& lock, const InstallSource& source,
                         const P2vOptions& options);

}  // namespace zoneferry
