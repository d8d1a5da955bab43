// btrfs: a read-only snapshot, the kernel's send stream, `btrfs receive`.
//
// Sending: the snapshot is PLACE/root, PLACE being a directory that only root can reach; the kernel writes the stream
// into a pipe (BTRFS_IOC_SEND, version 1 of the stream) on a thread of its own. Not in the stream: file attributes
// (immutable, no copy-on-write ...), subvolumes within the tree, and what lies beside `root`.
//
// Receiving: the stream is as hostile as any. `btrfs receive -e -C PLACE` is confined to a directory of ours that
// only root can reach; bytes, disk space and time are bounded; its process group is killed whenever this ends. What it
// made is used only if it is exactly one subvolume `root`: that becomes a writable snapshot of its own, is put through
// check_received_tree (received_tree.h), and then becomes staging's `root`. It is never mounted, and nothing of it is
// run, before the ordinary passes have gone over it.
#pragma once

#include "transfer/bulk_transport.h"

namespace zoneferry {

class BtrfsTransport final : public BulkTransport {
public:
    std::string_view name() const override { return "btrfs"; }
    bool can_send(const std::string& tree) const override;
    bool can_receive(const std::string& place) const override;
    Result<std::unique_ptr<BulkSource>> send(const std::string& tree, const std::string& snapshot) const override;
    Result<std::unique_ptr<BulkSink>> receive(const std::string& place, const std::string& staging,
                                              const BulkLimits& limits,
                                              const std::function<Status()>& go_on) const override;
};

}  // namespace zoneferry
