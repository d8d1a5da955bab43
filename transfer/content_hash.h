// Hashes a row of lines, each with the content of a file if it has one, in order; the files are read by a small pool.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/base/digest.h"
#include "core/base/fd.h"

namespace zoneferry {

class ContentHasher {
public:
    explicit ContentHasher(unsigned threads);
    ~ContentHasher();

    // file: closed or read from its start; exactly size bytes must come. Waits while too much is under way; an error
    // may be that of an earlier file.
    Status add(ByteVector line, UniqueFd file, std::uint64_t size);
    Result<Digest> finish();
    std::uint64_t bytes() const { return bytes_; }  // of content

private:
    struct Item {
        ByteVector line;
        UniqueFd file;
        std::uint64_t size = 0;
        std::optional<Result<Digest>> content;
        bool is_done = false;
    };
    void hash_all();
    Status fold(std::size_t left);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<Item>> items_;    // in order, until folded into digest_
    std::deque<std::shared_ptr<Item>> waiting_;  // those no thread has taken yet
    bool ending_ = false;
    Sha256 digest_;
    std::uint64_t bytes_ = 0;
    std::vector<std::jthread> threads_;  // last: they use all the above
};

}  // namespace zoneferry
