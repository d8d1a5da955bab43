#include "transfer/bulk_transport.h"

#include <algorithm>

#include "transfer/btrfs_transport.h"

namespace zoneferry {

const std::vector<const BulkTransport*>& bulk_transports() {
    static const BtrfsTransport btrfs;
    static const std::vector<const BulkTransport*> all{&btrfs};
    return all;
}

const BulkTransport* find_bulk_transport(std::string_view name) {
    for (const BulkTransport* transport : bulk_transports()) {
        if (transport->name() == name) return transport;
    }
    return nullptr;
}

std::vector<std::string> sending_transports(const std::string& tree) {
    std::vector<std::string> names;
    for (const BulkTransport* transport : bulk_transports()) {
        if (transport->can_send(tree)) names.emplace_back(transport->name());
    }
    return names;
}

std::vector<std::string> receiving_transports(const std::string& place) {
    std::vector<std::string> names;
    for (const BulkTransport* transport : bulk_transports()) {
        if (transport->can_receive(place)) names.emplace_back(transport->name());
    }
    return names;
}

std::string choose_transport(const TransportFacts& facts) {
    if (!facts.is_wanted || !facts.is_first || !facts.compares_contents) return {};
    for (const std::string& name : facts.sending) {
        if (std::find(facts.offered.begin(), facts.offered.end(), name) != facts.offered.end()) return name;
    }
    return {};
}

}  // namespace zoneferry
