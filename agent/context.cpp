#include "agent/context.h"

#include "core/base/digest.h"

namespace zoneferry {

std::string move_directory(const HostRoot& root, const std::string& move_id) {
    return root.state_directory() + "/moves/" + move_id;
}
std::string push_staging_path(const HostRoot& root, const std::string& zonepath, const std::string& id) {
    return root.at(zonepath.substr(0, zonepath.rfind('/') + 1) + ".zoneferry-push-" + id);
}

const std::vector<std::string>& excluded_names() {
    static const std::vector<std::string> names{"SUNWattached.xml", "SUNWdetached.xml", ".zoneferry-owner",
                                                ".zoneferry-lease"};
    return names;
}

std::string new_run_id() { return to_hex(random_bytes(16)); }

std::string new_move_id() { return to_hex(random_bytes(5)); }

}  // namespace zoneferry
