#include "transfer/entry_facts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "transfer/reading.h"
#include "transfer/record.h"

namespace zoneferry {
namespace {

void append_facts(ByteVector& line, const EntryStat& stat, const OwnedXattrs& xattrs) {
    append_little_endian(line, stat.mode);
    append_little_endian(line, stat.uid);
    append_little_endian(line, stat.gid);
    append_little_endian(line, stat.device_major);
    append_little_endian(line, stat.device_minor);
    append_little_endian(line, static_cast<std::uint64_t>(stat.mtime_seconds));
    append_little_endian(line, stat.mtime_nanoseconds);
    append_little_endian(line, S_ISREG(stat.mode) ? stat.size : std::uint64_t{0});
    append_little_endian(line, static_cast<std::uint32_t>(xattrs.size()));
    for (const auto& [name, value] : xattrs) {
        append_little_endian(line, static_cast<std::uint32_t>(name.size()));
        append_bytes(line, as_bytes(name));
        append_little_endian(line, static_cast<std::uint32_t>(value.size()));
        append_bytes(line, value);
    }
}

Status append_target(ByteVector& line, int directory, const std::string& name) {
    std::array<char, kLinkTargetBytesMax + 1> target{};
    const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (got < 0) return system_error("read the link", errno);
    append_little_endian(line, static_cast<std::uint32_t>(got));
    append_bytes(line, as_bytes({target.data(), static_cast<std::size_t>(got)}));
    return {};
}

}  // namespace

HashItem begin_item(char kind, const std::string& name) {
    HashItem item;
    append_little_endian(item.head, static_cast<std::uint8_t>(kind));
    append_little_endian(item.head, static_cast<std::uint32_t>(name.size()));
    append_bytes(item.head, as_bytes(name));
    item.note.name = name;
    return item;
}

Status read_entry(HashItem& item, int directory, const std::string& name, const EntryStat& stat,
                  const EntryReading& reading) {
    const std::int64_t read_at_ns = file_clock_ns();
    bool is_settled = true;
    OwnedXattrs xattrs;
    if (S_ISREG(stat.mode) && reading.contents) {
        ZF_TRY(item.file, open_to_read(directory, name, 0));
        ZF_TRY(const EntryStat opened, stat_entry(item.file.get(), ""));
        if (opened.inode != stat.inode || !S_ISREG(opened.mode)) {
            return Error(Errc::conflict, "it changed while the tree was read");
        }
        is_settled = !reading.for_later || settle_pages(item.file.get());
        item.size = stat.size;
        ZF_TRY(xattrs, read_xattrs(item.file.get()));
    } else {
        ZF_TRY(xattrs, read_xattrs_at(directory, name));
    }
    item.facts.emplace();
    append_facts(*item.facts, stat, xattrs);
    if (S_ISLNK(stat.mode)) ZF_TRY_STATUS(append_target(*item.facts, directory, name));
    item.note.again = is_racy(stat, read_at_ns) || !is_settled;
    return {};
}

Status read_directory(HashItem& item, int directory, const EntryStat& stat) {
    ZF_TRY(const OwnedXattrs xattrs, read_xattrs(directory));
    item.facts.emplace();
    append_facts(*item.facts, stat, xattrs);
    item.note.kind = CatalogKind::directory_end;
    item.note.identity = identity_of(stat);
    return {};
}

}  // namespace zoneferry
