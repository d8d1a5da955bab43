// A dump's records: header after header, a directory's data, extended attributes, and the names that come of them.
#include <cstdint>
#include <string>

#include "core/image/dump_format.h"
#include "core/image/dump_names.h"

using zoneferry::ConstBytes;
using zoneferry::kDumpRecordBytes;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ConstBytes rest = std::as_bytes(std::span(data, size));
    (void)zoneferry::parse_dump_xattrs(rest);
    if (rest.size() < kDumpRecordBytes || !zoneferry::is_dump(rest)) return 0;
    const auto parser = zoneferry::DumpParser::create(rest.first(kDumpRecordBytes));
    if (!parser) return 0;
    zoneferry::DumpNames names;
    for (rest = rest.subspan(kDumpRecordBytes); rest.size() >= kDumpRecordBytes;) {
        const auto header = parser->header(rest.first(kDumpRecordBytes));
        rest = rest.subspan(kDumpRecordBytes);
        if (!header || header->type != zoneferry::DumpRecord::inode) continue;
        if (!names.begin_directory(header->inode, {})) break;
        const std::size_t bytes = std::min(rest.size(), std::size_t{header->count} * kDumpRecordBytes);
        (void)names.add_data(rest.first(bytes));
        rest = rest.subspan(bytes);
    }
    const auto take = [](const std::string& path, const zoneferry::EntryMetadata&) {
        if (path.find("..") == 0 || path.starts_with('/')) __builtin_trap();
        return zoneferry::Status();
    };
    if (names.complete(*parser, take)) {
        for (std::uint32_t inode = 0; inode < 64; ++inode) (void)names.take(inode);
    }
    return 0;
}
