// Hashes a row of items, in order; the files among them are read by a small pool.
//
// What goes into the digest of an item: its head, and if it has facts the entry digest: SHA-256 over the facts and, of
// a regular file, the digest of its content. An entry digest that is known from before spares the reading.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/base/digest.h"
#include "core/base/fd.h"
#include "transfer/catalog.h"

namespace zoneferry {

struct HashItem {
    ByteVector head;
    std::optional<ByteVector> facts;
    UniqueFd file;  // closed, or read from its start; exactly size bytes must come
    std::uint64_t size = 0;
    std::optional<Digest> known;  // the entry digest
    CatalogEntry note;            // for the listener
};

class ContentHasher {
public:
    // listener hears of every item in its order, with the entry digest; not of files that changed while they were read.
    using Listener = std::function<Status(CatalogEntry note, const std::optional<Digest>& entry)>;
    // tolerate_changes: a file that changes its size while it is read is no error (the digest says nothing then).
    ContentHasher(unsigned threads, bool tolerate_changes, Listener listener);
    ~ContentHasher();

    // Waits while too much is under way; an error may be that of an earlier item.
    Status add(HashItem item);
    Result<Digest> finish();
    std::uint64_t bytes_read() const { return bytes_read_; }

private:
    struct Slot {
        HashItem item;
        std::optional<Result<Digest>> content;
        bool is_done = false;
    };
    void hash_all();
    Status fold(std::size_t left);
    Status fold_one(Slot& slot);

    bool tolerate_changes_;
    Listener listener_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<Slot>> items_;    // in order, until folded into digest_
    std::deque<std::shared_ptr<Slot>> waiting_;  // those no thread has taken yet
    bool ending_ = false;
    Sha256 digest_;
    std::uint64_t bytes_read_ = 0;
    std::vector<std::jthread> threads_;  // last: they use all the above
};

}  // namespace zoneferry
