// New regular files are written by a small crew of threads: making an inode costs the kernel more than its few bytes,
// and two directories can be filled at a time.
//
//     add(file) ... -> batches of one directory -> [queue] -> the crew, and whoever waits in wait()
//
// What a file is made of are views of the segment at hand: before that goes, wait() sees the last of its files written.
// A directory whose times and flags are set too early would get others from its last file: so it is left (leave()) when
// its last batch is done.
//
// A file needs four calls to the kernel if it belongs to us and its mode can be given at its making; the rest is for
// what differs. It may be made with its final mode before its content is there, because nobody but root can reach
// staging.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/fd.h"
#include "core/base/file_flags.h"
#include "transfer/record.h"

namespace zoneferry {

// A directory that is being filled.
struct HeldDirectory {
    UniqueFd fd;
    std::string name;  // "": the root
    std::shared_ptr<HeldDirectory> parent;
    bool is_new = false;      // made in this pass: holds nothing
    bool hands_down = false;  // what is made in it may inherit an ACL, flags or a project
    gid_t gid = 0;
    // The crew's.
    std::size_t batches = 0;  // not yet done
    std::optional<Metadata> left;

    std::string path_of(std::string_view entry) const;  // from the tree's root
};

struct NewFile {
    std::string_view name;
    std::uint64_t size = 0;
    Metadata metadata;
    std::vector<DataRecord> data;
};

class FileCrew {
public:
    // What the crew could not set.
    struct Left {
        std::uint64_t count = 0;
        std::string first;
    };

    explicit FileCrew(unsigned threads);  // besides the caller
    ~FileCrew();                          // wait() came before it: what files are made of is gone

    // One thread calls these.
    void add(const std::shared_ptr<HeldDirectory>& directory, NewFile file);
    void leave(const std::shared_ptr<HeldDirectory>& directory, Metadata metadata);
    // Until all is written, or something went wrong: names it.
    Status wait();
    bool is_idle() const { return is_idle_; }
    Left left() const { return left_; }  // after wait()

private:
    struct Batch {
        std::shared_ptr<HeldDirectory> directory;
        std::vector<NewFile> files;
    };
    void publish();
    void work();
    void run(std::unique_lock<std::mutex>& lock);
    Status write(const Batch& batch);
    Status write(const HeldDirectory& directory, const NewFile& file);
    Status finish(int fd, const HeldDirectory& directory, const NewFile& file, bool has_mode);
    void note(const FileAttributes& left, const HeldDirectory& directory, std::string_view name);
    Status apply_left(HeldDirectory& directory);

    const uid_t own_uid_;
    const gid_t own_gid_;
    const mode_t umask_;
    bool is_idle_ = true;
    Batch next_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Batch> queue_;
    std::size_t running_ = 0;
    bool ending_ = false;
    std::optional<Error> error_;
    Left left_;
    std::vector<std::jthread> threads_;  // last: they use all the above
};

// Into a new file, in order.
Status write_data(int fd, const DataRecord& record);

}  // namespace zoneferry
