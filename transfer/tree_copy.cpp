#include "transfer/tree_copy.h"

#include "transfer/receiver.h"
#include "transfer/resume.h"
#include "transfer/sender.h"

namespace zoneferry {

Status copy_tree(UniqueFd from, UniqueFd to, const TreeCopy& options) {
    SendOptions send;
    send.catalog_path_prefix = options.scratch_prefix;
    send.forget = true;
    send.tolerate_changes = false;
    send.zstd_level = 0;
    send.excluded = options.excluded;
    ReceiveOptions receive;
    receive.preserved = options.excluded;
    ZF_TRY(auto sender, TreeSender::start(std::move(from), std::move(send)));
    ZF_TRY(auto receiver, TreeReceiver::start(std::move(to), std::move(receive)));
    std::uint64_t segments = 0;
    while (true) {
        ZF_TRY(const std::optional<TreeSegment> segment, sender->next());
        if (!segment) break;
        ZF_TRY_STATUS(receiver->accept(*segment));
        ++segments;
        ZF_TRY_STATUS(options.go_on());
    }
    ZF_TRY([[maybe_unused]] const ReceiveSummary done, receiver->finish(segments));
    sender.reset();
    return forget_catalogs(CatalogPaths(options.scratch_prefix));
}

}  // namespace zoneferry
