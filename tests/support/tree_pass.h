// One pass from a directory to another, in process: what the agents do with a socket in between.
#pragma once

#include <functional>
#include <string>

#include "transfer/receiver.h"
#include "transfer/sender.h"
#include "transfer/tree_digest.h"

namespace zoneferry {

struct PassPaths {
    std::string source;
    std::string staging;
    std::string catalog;  // prefix
};

struct PassOptions {
    SendOptions send;
    ReceiveOptions receive;
    std::uint64_t segments_between_acks = 3;
    // Called before each segment is given to the receiver; false cuts the link there.
    std::function<bool(std::uint64_t number)> link_holds;
    std::unique_ptr<PassTrail>* trail = nullptr;  // becomes that of the pass
};

// Errc::peer_lost if the link was cut.
inline Result<PassSummary> run_pass(const PassPaths& paths, PassOptions options) {
    options.send.catalog_path_prefix = paths.catalog;
    ZF_TRY(UniqueFd tree, open_directory(paths.source));
    ZF_TRY(UniqueFd staging, open_directory(paths.staging));
    ZF_TRY(auto sender, TreeSender::start(std::move(tree), options.send));
    ZF_TRY(auto receiver, TreeReceiver::start(std::move(staging), options.receive));
    std::uint64_t count = 0;
    while (true) {
        ZF_TRY(const auto segment, sender->next());
        if (!segment) break;
        if (options.link_holds && !options.link_holds(segment->number)) return Error(Errc::peer_lost, "cut");
        ZF_TRY_STATUS(receiver->accept(*segment));
        ++count;
        if (count % options.segments_between_acks != 0) continue;
        ZF_TRY(const std::uint64_t durable, receiver->make_durable());
        ZF_TRY_STATUS(sender->acknowledge(durable));
    }
    ZF_TRY(const ReceiveSummary received, receiver->finish(count));
    ZF_TRY_STATUS(sender->acknowledge(received.segments));
    auto summary = sender->finish();
    if (options.trail != nullptr) *options.trail = sender->take_trail();
    return summary;
}

inline Result<TreeDigest> digest_path(const std::string& path, const DigestOptions& options = {}) {
    ZF_TRY(UniqueFd tree, open_directory(path));
    return digest_tree(std::move(tree), options);
}

inline bool digests_equal(const PassPaths& paths) {
    const auto source = digest_path(paths.source);
    const auto staging = digest_path(paths.staging);
    return source && staging && source->digest == staging->digest && source->entries == staging->entries &&
           source->bytes == staging->bytes;
}

}  // namespace zoneferry
