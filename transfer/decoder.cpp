#include "transfer/decoder.h"

#include <algorithm>

#include "core/base/text.h"

namespace zoneferry {

TreeDecoder::TreeDecoder(TreeSink& sink, DecodeLimits limits) : sink_(sink), limits_(std::move(limits)) {}

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
    const bool in_file_only =
        std::holds_alternative<DataRecord>(record) || std::holds_alternative<FileEndRecord>(record);
    if (state_ == State::ended) return refuse("a record follows the end");
    if (std::holds_alternative<BeginRecord>(record) != (state_ == State::before_begin)) {
        return refuse("a pass begins once, and first");
    }
    if (state_ != State::before_begin && in_file_only != (state_ == State::in_file)) {
        return refuse("data belongs to a file, and nothing else comes before the file's end");
    }
    return std::visit([this](const auto& one) { return on(one); }, record);
}

// Names ascend within a directory, so each occurs once.
Status TreeDecoder::accept_name(std::string_view name) {
    if (levels_.empty()) return refuse("\"" + printable(name) + "\" follows the root");
    Level& level = levels_.back();
    if (name <= level.last) {
        return refuse("the name \"" + printable(name) + "\" follows it, out of order");
    }
    level.last = name;
    if (levels_.size() == 1 &&
        std::find(limits_.preserved.begin(), limits_.preserved.end(), name) != limits_.preserved.end()) {
        return refuse("this name is the host's own");
    }
    if (path_bytes_ + name.size() + 1 > kPathBytesMax) return refuse("its path is too long");
    return {};
}

Status TreeDecoder::on(const BeginRecord& record) {
    if (record.version != kStreamVersion) {
        return Error(Errc::unsupported, "the stream has version " + std::to_string(record.version));
    }
    if (record.clear) ZF_TRY_STATUS(sink_.clear());
    levels_.emplace_back();
    state_ = State::in_directory;
    return {};
}

Status TreeDecoder::on(const EnterRecord& record) {
    ZF_TRY_STATUS(accept_name(record.name));
    if (levels_.size() > kDepthMax) return refuse("it lies too deep");
    if (++entries_ > limits_.entries_max) return refuse("there are too many entries");
    ZF_TRY_STATUS(sink_.enter(record));
    path_bytes_ += record.name.size() + 1;
    levels_.push_back({std::string(record.name), {}});
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
    ZF_TRY_STATUS(sink_.file(record));
    file_size_ = record.size;
    file_position_ = record.start;
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

Status TreeDecoder::on(const FileEndRecord& record) {
    if (record.data_bytes != file_data_bytes_) return refuse("not all of its data came");
    state_ = State::in_directory;
    return sink_.file_end();
}

Status TreeDecoder::on(const LinkRecord& record) {
    ZF_TRY_STATUS(accept_name(record.name));
    if (++entries_ > limits_.entries_max) return refuse("there are too many entries");
    // An earlier entry: its path is less, component by component, than this one's.
    for (std::size_t i = 0; i < record.target.size(); ++i) {
        if (i >= levels_.size()) return refuse("it links to a later entry");
        const std::string_view here = levels_[i].last;
        if (record.target[i] < here) break;
        if (record.target[i] > here || i + 1 == record.target.size()) return refuse("it links to a later entry");
    }
    if (std::find(limits_.preserved.begin(), limits_.preserved.end(), record.target[0]) != limits_.preserved.end()) {
        return refuse("it links to what is the host's own");
    }
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
    return {};
}

}  // namespace zoneferry
