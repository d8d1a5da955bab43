// The receiving machine without I/O: bytes of segments in, calls on a TreeSink out. Socket, tests and fuzzer use
// this one entry.
//
// State: before `begin` | in a directory (a stack of names, each with the last name seen there) | in a file |
// after `end`. A record that does not belong there is Errc::protocol, with the entry it was about named; after
// any error the decoder refuses everything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "transfer/record.h"

namespace zoneferry {

// What a stream asks to be done, already checked for everything that needs no disk. Names are single components
// in the directory entered last.
class TreeSink {
public:
    virtual ~TreeSink() = default;
    virtual Status begin(const BeginRecord& record) = 0;
    virtual Status enter(const EnterRecord& record) = 0;
    virtual Status leave(const LeaveRecord& record) = 0;  // also once for the root, at the end
    virtual Status file(const FileRecord& record) = 0;
    virtual Status data(const DataRecord& record) = 0;
    virtual Status file_end() = 0;
    virtual Status link(const LinkRecord& record) = 0;
    virtual Status symlink(const SymlinkRecord& record) = 0;
    virtual Status special(const SpecialRecord& record) = 0;
    virtual Status remove(const RemoveRecord& record) = 0;
    virtual Status stash(const StashRecord& record) = 0;  // the first is number 0
    virtual Status hole(const HoleRecord& record) = 0;
    virtual Status end() = 0;
};

struct DecodeLimits {
    std::uint64_t entries_max = 200'000'000;            // created in one pass
    std::uint64_t bytes_max = std::uint64_t{1} << 50U;  // of data in one pass
    std::vector<std::string> preserved;                 // names directly below the root that a stream may not touch
};

class TreeDecoder {
public:
    TreeDecoder(TreeSink& sink, DecodeLimits limits);

    // All records of one segment.
    Status decode(ConstBytes raw);
    bool ended() const { return state_ == State::ended; }
    std::uint64_t entries() const { return entries_; }
    std::uint64_t bytes() const { return bytes_; }

private:
    enum class State { before_begin, in_directory, in_file, ended, failed };
    struct Level {
        std::string name;
        std::string last;     // greatest name seen so far; "" before the first
        std::string stashed;  // the last one put aside
    };

    Status apply(const Record& record);
    Status accept_name(std::string_view name);
    Status check_name(std::string_view name) const;
    Status accept_origin(const Origin& origin);
    bool is_preserved(std::string_view name) const;
    int order_of(const std::vector<std::string_view>& path) const;
    Status refuse(std::string_view why) const;
    std::string path() const;

    Status on(const BeginRecord& record);
    Status on(const EnterRecord& record);
    Status on(const LeaveRecord& record);
    Status on(const FileRecord& record);
    Status on(const DataRecord& record);
    Status on(const FileEndRecord& record);
    Status on(const LinkRecord& record);
    Status on(const SymlinkRecord& record);
    Status on(const SpecialRecord& record);
    Status on(const RemoveRecord& record);
    Status on(const EndRecord& record);
    Status on(const StashRecord& record);
    Status on(const HoleRecord& record);

    TreeSink& sink_;
    DecodeLimits limits_;
    State state_ = State::before_begin;
    std::vector<Level> levels_;
    std::size_t path_bytes_ = 0;
    std::uint64_t records_ = 0;
    std::uint64_t entries_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t file_size_ = 0;
    std::uint64_t file_position_ = 0;  // end of the last data
    std::uint64_t file_data_bytes_ = 0;
    bool file_is_fresh_ = true;
    std::vector<bool> stash_taken_;  // by number
};

}  // namespace zoneferry
