#include "transfer/record.h"

#include <sys/stat.h>

#include <optional>
#include <string>

#include "core/base/file_flags.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

// ---- writing ----

void append_u8(ByteVector& out, std::uint8_t value) { out.push_back(std::byte{value}); }
void append_text(ByteVector& out, std::string_view text) { append_bytes(out, as_bytes(text)); }

void append_metadata(ByteVector& out, const Metadata& metadata) {
    append_little_endian(out, metadata.mode);
    append_little_endian(out, metadata.uid);
    append_little_endian(out, metadata.gid);
    append_little_endian(out, static_cast<std::uint64_t>(metadata.mtime_seconds));
    append_little_endian(out, metadata.mtime_nanoseconds);
    append_little_endian(out, metadata.flags);
    append_little_endian(out, metadata.project);
    append_little_endian(out, static_cast<std::uint16_t>(metadata.xattrs.size()));
    for (const XattrView& xattr : metadata.xattrs) {
        append_u8(out, static_cast<std::uint8_t>(xattr.name.size()));
        append_text(out, xattr.name);
        append_little_endian(out, static_cast<std::uint32_t>(xattr.value.size()));
        append_bytes(out, xattr.value);
    }
}

void append_path(ByteVector& out, const std::vector<std::string_view>& path) {
    append_little_endian(out, static_cast<std::uint16_t>(path.size()));
    for (const std::string_view component : path) {
        append_u8(out, static_cast<std::uint8_t>(component.size()));
        append_text(out, component);
    }
}

void append_origin(ByteVector& out, const Origin& origin) {
    append_u8(out, static_cast<std::uint8_t>(origin.kind));
    if (origin.kind == Origin::Kind::path) append_path(out, origin.path);
    if (origin.kind == Origin::Kind::stash) append_little_endian(out, origin.stash);
}

struct BodyWriter {
    ByteVector& out;
    RecordType operator()(const BeginRecord& record) const {
        append_little_endian(out, record.version);
        append_u8(out, record.clear ? 1 : 0);
        return RecordType::begin;
    }
    RecordType operator()(const EnterRecord& record) const {
        append_origin(out, record.origin);
        append_text(out, record.name);
        return RecordType::enter;
    }
    RecordType operator()(const LeaveRecord& record) const {
        append_metadata(out, record.metadata);
        return RecordType::leave;
    }
    RecordType operator()(const FileRecord& record) const {
        append_origin(out, record.origin);
        append_little_endian(out, record.size);
        append_metadata(out, record.metadata);
        append_text(out, record.name);
        return RecordType::file;
    }
    RecordType operator()(const DataRecord& record) const {
        append_little_endian(out, record.offset);
        append_bytes(out, record.bytes);
        return RecordType::data;
    }
    RecordType operator()(const FileEndRecord& record) const {
        append_little_endian(out, record.data_bytes);
        return RecordType::file_end;
    }
    RecordType operator()(const LinkRecord& record) const {
        append_path(out, record.target);
        append_text(out, record.name);
        return RecordType::link;
    }
    RecordType operator()(const SymlinkRecord& record) const {
        append_metadata(out, record.metadata);
        append_little_endian(out, static_cast<std::uint16_t>(record.target.size()));
        append_text(out, record.target);
        append_text(out, record.name);
        return RecordType::symlink;
    }
    RecordType operator()(const SpecialRecord& record) const {
        append_u8(out, static_cast<std::uint8_t>(record.format >> 12U));
        append_little_endian(out, record.major);
        append_little_endian(out, record.minor);
        append_metadata(out, record.metadata);
        append_text(out, record.name);
        return RecordType::special;
    }
    RecordType operator()(const RemoveRecord& record) const {
        append_text(out, record.name);
        return RecordType::remove;
    }
    RecordType operator()(const EndRecord& record) const {
        append_little_endian(out, record.records);
        return RecordType::end;
    }
    RecordType operator()(const StashRecord& record) const {
        append_text(out, record.name);
        return RecordType::stash;
    }
    RecordType operator()(const HoleRecord& record) const {
        append_little_endian(out, record.offset);
        append_little_endian(out, record.length);
        return RecordType::hole;
    }
};

// ---- reading ----

// Takes fields off a record's body; once something is missing or wrong, everything after is zero and failed()
// tells the first reason.
class BodyReader {
public:
    explicit BodyReader(ConstBytes body) : rest_(body) {}

    template <class T>
    T number() {
        if (rest_.size() < sizeof(T)) {
            fail("is cut short");
            return 0;
        }
        const T value = load_little_endian<T>(rest_);
        rest_ = rest_.subspan(sizeof(T));
        return value;
    }
    bool flag() {
        const auto value = number<std::uint8_t>();
        if (value > 1) fail("has unknown flags");
        return value == 1;
    }
    ConstBytes bytes(std::size_t count) {
        if (rest_.size() < count) {
            fail("is cut short");
            return {};
        }
        const ConstBytes taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    ConstBytes rest() { return bytes(rest_.size()); }
    std::string_view name(std::size_t count) {
        const std::string_view taken = as_text(bytes(count));
        if (!failed_ && !is_entry_name(taken)) fail("has the name \"" + printable(taken.substr(0, 300)) + "\"");
        return taken;
    }
    std::string_view last_name() { return name(rest_.size()); }
    Metadata metadata();
    std::vector<std::string_view> path();
    Origin origin();
    void done() {
        if (!rest_.empty()) fail("is too long");
    }
    void fail(std::string reason) {
        if (!failed_) failed_ = std::move(reason);
        rest_ = {};
    }
    const std::optional<std::string>& failed() const { return failed_; }

private:
    ConstBytes rest_;
    std::optional<std::string> failed_;
};

Metadata BodyReader::metadata() {
    Metadata metadata;
    metadata.mode = number<std::uint32_t>();
    metadata.uid = number<std::uint32_t>();
    metadata.gid = number<std::uint32_t>();
    metadata.mtime_seconds = static_cast<std::int64_t>(number<std::uint64_t>());
    metadata.mtime_nanoseconds = number<std::uint32_t>();
    metadata.flags = number<std::uint32_t>();
    metadata.project = number<std::uint32_t>();
    if ((metadata.flags & ~kFileFlagsAll) != 0) fail("has unknown file flags");
    if (metadata.mode > 07777) fail("has a mode that is none");
    if (metadata.uid == UINT32_MAX || metadata.gid == UINT32_MAX) fail("has an owner that is none");
    if (metadata.mtime_nanoseconds > 999'999'999) fail("has a time that is none");
    const auto count = number<std::uint16_t>();
    if (count > kXattrCountMax) fail("has too many extended attributes");
    std::size_t total = 0;
    for (std::size_t i = 0; i < count && !failed_; ++i) {
        XattrView xattr;
        xattr.name = as_text(bytes(number<std::uint8_t>()));
        const auto value_bytes = number<std::uint32_t>();
        if (value_bytes > kXattrValueBytesMax) fail("has an extended attribute that is too long");
        xattr.value = bytes(value_bytes);
        total += xattr.name.size() + xattr.value.size();
        if (failed_) break;
        if (!is_carried_xattr(xattr.name)) fail("has the extended attribute \"" + printable(xattr.name) + "\"");
        if (!metadata.xattrs.empty() && xattr.name <= metadata.xattrs.back().name) {
            fail("has extended attributes out of order");
        }
        if (total > kXattrsBytesMax) fail("has too many bytes of extended attributes");
        metadata.xattrs.push_back(xattr);
    }
    return metadata;
}

std::vector<std::string_view> BodyReader::path() {
    std::vector<std::string_view> path;
    const auto count = number<std::uint16_t>();
    if (count == 0 || count > kDepthMax + 1) fail("names a path of no possible depth");
    for (std::size_t i = 0; i < count && !failed_; ++i) path.push_back(name(number<std::uint8_t>()));
    return path;
}

Origin BodyReader::origin() {
    Origin origin;
    const auto kind = number<std::uint8_t>();
    if (kind > static_cast<std::uint8_t>(Origin::Kind::stash)) fail("has an unknown origin");
    origin.kind = static_cast<Origin::Kind>(kind);
    if (origin.kind == Origin::Kind::path) origin.path = path();
    if (origin.kind == Origin::Kind::stash) origin.stash = number<std::uint32_t>();
    return origin;
}

Record read_body(RecordType type, BodyReader& in) {
    switch (type) {
        case RecordType::begin: {
            BeginRecord record;
            record.version = in.number<std::uint16_t>();
            record.clear = in.flag();
            return record;
        }
        case RecordType::enter: {
            EnterRecord record;
            record.origin = in.origin();
            record.name = in.last_name();
            return record;
        }
        case RecordType::leave: return LeaveRecord{in.metadata()};
        case RecordType::file: {
            FileRecord record;
            record.origin = in.origin();
            record.size = in.number<std::uint64_t>();
            record.metadata = in.metadata();
            record.name = in.last_name();
            if (record.size > kFileBytesMax) in.fail("declares a file larger than any file system here holds");
            return record;
        }
        case RecordType::data: {
            DataRecord record;
            record.offset = in.number<std::uint64_t>();
            record.bytes = in.rest();
            if (record.bytes.empty()) in.fail("holds no data");
            if (record.bytes.size() > kDataBytesMax) in.fail("is too long");
            return record;
        }
        case RecordType::file_end: return FileEndRecord{in.number<std::uint64_t>()};
        case RecordType::link: {
            LinkRecord record;
            record.target = in.path();
            record.name = in.last_name();
            return record;
        }
        case RecordType::symlink: {
            SymlinkRecord record;
            record.metadata = in.metadata();
            const auto target_bytes = in.number<std::uint16_t>();
            if (target_bytes == 0 || target_bytes > kLinkTargetBytesMax) in.fail("has a target of no possible length");
            record.target = as_text(in.bytes(target_bytes));
            if (record.target.find('\0') != std::string_view::npos) in.fail("has a NUL in its target");
            record.name = in.last_name();
            return record;
        }
        case RecordType::special: {
            SpecialRecord record;
            record.format = std::uint32_t{in.number<std::uint8_t>()} << 12U;
            record.major = in.number<std::uint32_t>();
            record.minor = in.number<std::uint32_t>();
            record.metadata = in.metadata();
            record.name = in.last_name();
            const bool device = S_ISCHR(record.format) || S_ISBLK(record.format);
            if (!device && !S_ISFIFO(record.format) && !S_ISSOCK(record.format)) in.fail("is of no known kind");
            if (!device && (record.major != 0 || record.minor != 0)) in.fail("has device numbers but is no device");
            return record;
        }
        case RecordType::remove: return RemoveRecord{in.last_name()};
        case RecordType::end: return EndRecord{in.number<std::uint64_t>()};
        case RecordType::stash: return StashRecord{in.last_name()};
        case RecordType::hole: {
            HoleRecord record;
            record.offset = in.number<std::uint64_t>();
            record.length = in.number<std::uint64_t>();
            if (record.length == 0) in.fail("is a hole of no length");
            return record;
        }
    }
    in.fail("is of unknown type " + std::to_string(static_cast<unsigned>(type)));
    return EndRecord{};
}

}  // namespace

bool is_entry_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
           name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool is_carried_xattr(std::string_view name) {
    if (name.size() > kXattrNameBytesMax || name.find('\0') != std::string_view::npos) return false;
    const auto below = [name](std::string_view prefix) {
        return name.size() > prefix.size() && name.starts_with(prefix);
    };
    return below("user.") || below("trusted.") || name == "security.capability" || name == "system.posix_acl_access" ||
           name == "system.posix_acl_default";
}

void append_record(ByteVector& out, const Record& record) {
    const std::size_t at = out.size();
    out.resize(at + kRecordHeaderBytes);
    const RecordType type = std::visit(BodyWriter{out}, record);
    const std::size_t body_bytes = out.size() - at - kRecordHeaderBytes;
    ZF_CHECK(body_bytes <= kRecordBodyMax);
    out[at] = std::byte{static_cast<std::uint8_t>(type)};
    store_little_endian(static_cast<std::uint32_t>(body_bytes), out.data() + at + 1);
}

Result<Record> take_record(ConstBytes& bytes) {
    if (bytes.size() < kRecordHeaderBytes) return Error(Errc::protocol, "a record of the stream is cut short");
    const auto type = static_cast<RecordType>(std::to_integer<std::uint8_t>(bytes[0]));
    const auto body_bytes = load_little_endian<std::uint32_t>(bytes.subspan(1));
    if (body_bytes > kRecordBodyMax || body_bytes > bytes.size() - kRecordHeaderBytes) {
        return Error(Errc::protocol, "a record of the stream is longer than its segment");
    }
    BodyReader in(bytes.subspan(kRecordHeaderBytes, body_bytes));
    Record record = read_body(type, in);
    in.done();
    if (in.failed()) return Error(Errc::protocol, "a record of the stream " + *in.failed());
    bytes = bytes.subspan(kRecordHeaderBytes + body_bytes);
    return record;
}

}  // namespace zoneferry
