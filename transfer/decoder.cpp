#include "transfer/decoder.h"

#include <algorithm>

#include "core/base/text.h"

namespace zoneferry {

TreeDecoder::TreeDecoder(TreeSink& sink, DecodeLimits limits) : sink_(sink), limits_(std::move(limits)) {
    limits_.preserved.emplace_back(kStashDirectory);
}

std::string TreeDecoder::path() const {
    std::string path;
    for (const Level& level : levels_) {
        if (!level.name.empty()) path += level.name + "/";
    }
    if (!levels_.empty()) path += levels_.back().last;
    return printable(path.empty() ? "." : path);
}

Status TreeDecoder::refuse(std::string_view why) const {
    return Error(Errc::protocol, "the stream's entry " + path() + " is refused: " + std::string(why));
}

Status TreeDecoder::decode(ConstBytes raw) {
    if (state_ == State::failed) return Error(Errc::protocol, "the stream was refused before");
    while (!raw.empty()) {
        auto record = take_record(raw);
        Status done = record ? apply(*record) : Status(std::move(record).error().during("at or after " + path()));
        if (!done) {
            state_ = State::failed;
            return done;
        }
        ++records_;
    }
    return {};
}

Status TreeDecoder::apply(const Record& record) {
    const bool in_file_only = std::holds_alternative<DataRecord>(record) ||
                              std::holds_alternative<FileEndRecord>(record) ||
                              std::holds_alternative<HoleRecord>(record);
    if (state_ == State::ended) return refuse("a record follows the end");
    if (std::holds_alternative<BeginRecord>(record) != (state_ == State::before_begin)) {
        return refuse("a pass begins once, and first");
    }
    if (state_ != State::before_begin && in_file_only != (state_ == State::in_file)) {
        return refuse("data belongs to a file, and nothing else comes before the file's end");
    }
    return std::visit([this](const auto& one) { return on(one); }, record);
}

bool TreeDecoder::is_preserved(std::string_view name) const {
    return std::find(limits_.preserved.begin(), limits_.preserved.end(), name) != limits_.preserved.end();
}

Status TreeDecoder::check_name(std::string_view name) const {
    if (levels_.empty()) return refuse("\"" + printable(name) + "\" follows the root");
    if (name <= levels_.back().last) return refuse("the name \"" + printable(name) + "\" follows it, out of order");
    if (levels_.size() == 1 && is_preserved(name)) {
        return refuse("the name \"" + printable(name) + "\" is the host's own");
    }
    if (path_bytes_ + name.size() + 1 > kPathBytesMax) return refuse("its path is too long");
    return {};
}

// Names ascend within a directory, so each occurs once.
Status TreeDecoder::accept_name(std::string_view name) {
    ZF_TRY_STATUS(check_name(name));
    levels_.back().last = name;
    return {};
}

// Where a path lies in the order of the walk, seen from the entry at hand: -1 earlier, 1 later, 0 it is the entry, one
// of its directories, or below it.
int TreeDecoder::order_of(const std::vector<std::string_view>& path) const {
    for (std::size_t i = 0; i < path.size() && i < levels_.size(); ++i) {
        if (path[i] != levels_[i].last) return path[i] < levels_[i].last ? -1 : 1;
    }
    return 0;
}

// What comes from a path must still be as the pass before left it, so it lies later: what is earlier was said already.
Status TreeDecoder::accept_origin(const Origin& origin) {
    if (origin.kind == Origin::Kind::path) {
        if (order_of(origin.path) <= 0) return refuse("it comes from where the pass has been");
        if (is_preserved(origin.path[0])) return refuse("it comes from what is the host's own");
    }
    if (origin.kind == Origin::Kind::stash) {
        if (origin.stash >= stash_taken_.size() || stash_taken_[origin.stash]) {
            return refuse("it was not put aside, or is taken already");
        }
        stash_taken_[origin.stash] = true;
    }
    return {};
}

Status TreeDecoder::on(const BeginRecord& record) {
    if (record.version != kStreamVersion) {
        return Error(Errc::unsupported, "the stream has version " + std::to_string(record.version));
    }
    ZF_TRY_STATUS(sink_.begin(record));
    levels_.emplace_back();
    state_ = State::in_directory;
    return {};
}

Status TreeDecoder::on(const EnterRecord& record) {
    ZF_TRY_STATUS(accept_name(record.name));
    if (levels_.size() > kDepthMax) return refuse("it lies too deep");
    if (++entries_ > limits_.entries_max) return refuse("there are too many entries");
    ZF_TRY_STATUS(accept_origin(record.origin));
    ZF_TRY_STATUS(sink_.enter(record));
    path_bytes_ += record.name.size() + 1;
    levels_.push_back({std::string(record.name), {}, {}});
    return {};
}

Status TreeDecoder::on(const LeaveRecord& record) {
    if (levels_.empty()) return refuse("the root is left twice");
    ZF_TRY_STATUS(sink_.leave(record));
    path_bytes_ -= levels_.size() > 1 ? levels_.back().name.size() + 1 : 0;
    levels_.pop_back();
    return {};
}

Status TreeDecoder::on(const FileRecord& record) {
    ZF_TRY_STATUS(accept_name(record.name));
    if (++entries_ > limits_.entries_max) return refuse("there are too many entries");
    ZF_TRY_STATUS(accept_origin(record.origin));
    ZF_TRY_STATUS(sink_.file(record));
    file_size_ = record.size;
    file_is_fresh_ = record.origin.is_fresh();
    file_position_ = 0;
    file_data_bytes_ = 0;
    state_ = State::in_file;
    return {};
}

Status TreeDecoder::on(const DataRecord& record) {
    const auto end = checked_add<std::uint64_t>(record.offset, record.bytes.size());
    if (!end || *end > file_size_) return refuse("data lies behind its end");
    if (record.offset < file_position_) return refuse("data comes out of order");
    bytes_ += record.bytes.size();
    if (bytes_ > limits_.bytes_max) return refuse("there is too much data");
    ZF_TRY_STATUS(sink_.data(record));
    file_position_ = *end;
    file_data_bytes_ += record.bytes.size();
    return {};
}

Status TreeDecoder::on(const HoleRecord& record) {
    const auto end = checked_add<std::uint64_t>(record.offset, record.length);
    if (file_is_fresh_) return refuse("a new file needs no holes");
    if (!end || *end > file_size_) return refuse("a hole lies behind its end");
    if (record.offset < file_position_) return refuse("a hole comes out of order");
    ZF_TRY_STATUS(sink_.hole(record));
    file_position_ = *end;
    return {};
}

Status TreeDecoder::on(const FileEndRecord& record) {
    if (record.data_bytes != file_data_bytes_) return refuse("not all of its data came");
    state_ = State::in_directory;
    return sink_.file_end();
}

Status TreeDecoder::on(const LinkRecord& record) {
    ZF_TRY_STATUS(accept_name(record.name));
    if (++entries_ > limits_.entries_max) return refuse("there are too many entries");
    if (order_of(record.target) >= 0) return refuse("it links to a later entry");
    if (is_preserved(record.target[0])) return refuse("it links to what is the host's own");
    return sink_.link(record);
}

Status TreeDecoder::on(const SymlinkRecord& record) {
    ZF_TRY_STATUS(accept_name(record.name));
    if (++entries_ > limits_.entries_max) return refuse("there are too many entries");
    return sink_.symlink(record);
}

Status TreeDecoder::on(const SpecialRecord& record) {
    ZF_TRY_STATUS(accept_name(record.name));
    if (++entries_ > limits_.entries_max) return refuse("there are too many entries");
    return sink_.special(record);
}

Status TreeDecoder::on(const RemoveRecord& record) {
    ZF_TRY_STATUS(accept_name(record.name));
    return sink_.remove(record);
}

Status TreeDecoder::on(const EndRecord& record) {
    if (levels_.size() > 1) return refuse("the pass ends inside of it");
    if (record.records != records_) return refuse("the pass has lost records");
    state_ = State::ended;
    return sink_.end();
}

Status TreeDecoder::on(const StashRecord& record) {
    ZF_TRY_STATUS(check_name(record.name));
    if (record.name <= levels_.back().stashed)
        return refuse("the name \"" + printable(record.name) + "\" is put aside twice");
    if (stash_taken_.size() >= kStashMax) return refuse("too much is put aside");
    levels_.back().stashed = record.name;
    stash_taken_.push_back(false);
    return sink_.stash(record);
}

}  // namespace zoneferry
