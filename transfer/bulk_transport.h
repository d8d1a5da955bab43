// The file system's own way to bring a tree over: a snapshot of it as one stream of bytes, made by the file system at
// one end and taken in by the same kind at the other. It is the bulk of a move's first pass and never the last word:
// what has arrived is compared like any other tree that lies there already, and the ordinary pass, the device policy
// and the digest decide. So everything that can go wrong here costs time and nothing else.
//
//     sending end     BulkTransport::send -> BulkSource: read, read ... 0
//     receiving end   BulkTransport::receive -> BulkSink: write, write ..., finish
//
// One kind exists: btrfs (btrfs_transport.cpp). Another one (zfs) is another class and a line in bulk_transports().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace zoneferry {

// The bytes of a snapshot. Destroying it ends the making of them and removes the snapshot.
class BulkSource {
public:
    virtual ~BulkSource() = default;
    // Up to into.size() bytes, waits for the first of them; 0: that was all of it. One thread.
    virtual Result<std::size_t> read(MutableBytes into) = 0;
    // Any thread: read() returns Errc::cancelled, also one that waits.
    virtual void cancel() = 0;
};

// What takes them. Destroying it unfinished drops all that was received.
class BulkSink {
public:
    virtual ~BulkSink() = default;
    virtual Status write(ConstBytes bytes) = 0;
    // All of it was written: the received tree is in its place, on the disk.
    virtual Status finish() = 0;
};

struct BulkLimits {
    std::uint64_t entries_max = 0;
    std::uint64_t bytes_max = 0;  // of the files, and of the disk
    int stall_ms = 60'000;        // without any progress
};

// Paths are of our own host; the tree below them is not trusted. SIGPIPE has to be ignored.
class BulkTransport {
public:
    virtual ~BulkTransport() = default;
    virtual std::string_view name() const = 0;
    // Could the tree's directory `root` be sent in this way?
    virtual bool can_send(const std::string& tree) const = 0;
    // Could a tree be received beside `place`, which need not exist yet?
    virtual bool can_receive(const std::string& place) const = 0;
    // Of the tree's `root` as it is now. snapshot: a name beside the tree that is free; it goes with the source.
    virtual Result<std::unique_ptr<BulkSource>> send(const std::string& tree, const std::string& snapshot) const = 0;
    // Received in `place`, a name beside staging that is free and goes with the sink; at the end it becomes `root` in
    // staging, which has none yet. go_on: asked several times a second, its error ends a wait.
    virtual Result<std::unique_ptr<BulkSink>> receive(const std::string& place, const std::string& staging,
                                                      const BulkLimits& limits,
                                                      const std::function<Status()>& go_on) const = 0;
};

// All there are, the best first.
const std::vector<const BulkTransport*>& bulk_transports();
const BulkTransport* find_bulk_transport(std::string_view name);  // null: there is none of that name
std::vector<std::string> sending_transports(const std::string& tree);
std::vector<std::string> receiving_transports(const std::string& place);

// What the choice depends on.
struct TransportFacts {
    bool is_wanted = true;             // by the settings of this host; those of the target offer or do not
    bool is_first = true;              // nothing of the tree has been sent, and the target has nothing of it
    bool compares_contents = true;     // the move reads both trees anyhow: what arrived is compared at no cost
    std::vector<std::string> sending;  // what the source can send, the best first
    std::vector<std::string> offered;  // what the target can receive
};
// The name of a transport, or empty: the ordinary stream. Pure.
std::string choose_transport(const TransportFacts& facts);

}  // namespace zoneferry
