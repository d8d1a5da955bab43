#include "agent/context.h"

#include "core/base/digest.h"

namespace zoneferry {
namespace {

std::string beside(const HostRoot& root, const std::string& zonepath, const std::string& kind, const std::string& id) {
    const std::size_t slash = zonepath.rfind('/');
    return root.at(zonepath.substr(0, slash + 1) + ".zoneferry-" + kind + "-" + id);
}

}  // namespace

std::string move_directory(const HostRoot& root, const std::string& move_id) {
    return root.state_directory() + "/moves/" + move_id;
}
std::string digests_path(const HostRoot& root, const std::string& move_id, bool contents) {
    return move_directory(root, move_id) + (contents ? "/digests" : "/digests-meta");
}
std::string staging_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id) {
    return beside(root, zonepath, "incoming", move_id);
}
std::string kept_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id) {
    return beside(root, zonepath, "kept", move_id);
}
std::string trash_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id) {
    return beside(root, zonepath, "trash", move_id);
}

std::string snapshot_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id) {
    return beside(root, zonepath, "snapshot", move_id);
}
std::string received_path(const HostRoot& root, const std::string& zonepath, const std::string& move_id) {
    return beside(root, zonepath, "received", move_id);
}

std::string push_staging_path(const HostRoot& root, const std::string& zonepath, const std::string& id) {
    return beside(root, zonepath, "push", id);
}

const std::vector<std::string>& excluded_names() {
    static const std::vector<std::string> names{"SUNWattached.xml", "SUNWdetached.xml", ".zoneferry-owner",
                                                ".zoneferry-lease"};
    return names;
}

std::string new_run_id() { return to_hex(random_bytes(16)); }

std::string new_move_id() { return to_hex(random_bytes(5)); }

}  // namespace zoneferry
