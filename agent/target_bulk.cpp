// The target of a pass by a file system's own transport (transfer/bulk_transport.h).
#include <algorithm>

#include "agent/target_session.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {

std::vector<std::string> TargetSession::transports_for(const MoveRecord& record) const {
    if (context_.settings.transport != Transport::automatic || brings_no_bytes(record)) return {};
    return receiving_transports(received_path(context_.root, record.zonepath, record.id));
}

Status TargetSession::begin_bulk(const PassBegin& request, const MoveRecord& record, const BulkLimits& limits) {
    const std::vector<std::string> offered = transports_for(record);
    const BulkTransport* transport = find_bulk_transport(request.transport);
    if (transport == nullptr || std::find(offered.begin(), offered.end(), request.transport) == offered.end()) {
        return Error(Errc::unsupported, "nothing is received here by " + printable(request.transport));
    }
    const std::string staging = staging_path(context_.root, record.zonepath, record.id);
    if (path_exists(staging + "/root")) return Error(Errc::conflict, "some of the tree is there already");
    pass_.reset();  // before its leftovers are removed
    const std::string place = received_path(context_.root, record.zonepath, record.id);
    ZF_TRY_STATUS(remove_tree(place));
    const auto go_on = [this]() -> Status {
        if (context_.stopping) return Error(Errc::cancelled, "the agent is stopping");
        if (!connection_->use()) return Error(Errc::peer_lost, "the connection is over");
        return {};
    };
    ZF_TRY(std::unique_ptr<BulkSink> sink, transport->receive(place, staging, limits, go_on));
    Pass pass;
    pass.number = request.pass;
    pass.is_final = request.is_final;
    pass.bulk = std::make_unique<BulkReceiver>(std::move(sink));
    pass.began_ms = context_.clock.monotonic_ms();
    pass_.emplace(std::move(pass));
    PassReady reply;
    reply.pass = request.pass;
    return connection_->send(fitted(std::move(reply)));
}

}  // namespace zoneferry
