#include "core/image/dump_source.h"

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/text.h"
#include "core/image/dump_format.h"
#include "core/image/dump_names.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

Error damaged(const std::string& why) {
    return Error(Errc::corrupt, "the dump cannot be read: " + why)
        .remedy("check that the archive is complete; nothing of it was kept");
}

EntryMetadata metadata_of(const DumpHeader& header) {
    EntryMetadata metadata;
    metadata.permissions = header.mode & 07777U;
    metadata.uid = header.uid;
    metadata.gid = header.gid;
    metadata.modified = header.modified;
    return metadata;
}

class Unpacker {
public:
    Unpacker(ByteSource& source, DumpParser parser, ImageSink& sink, InstallReport& report)
        : source_(source),
          parser_(parser),
          sink_(sink),
          report_(report),
          record_(kDumpRecordBytes),
          names_(sink.package_system()) {}

    Status run(const InstallProgressCallback& progress) {
        ZF_TRY(DumpHeader header, next());
        std::uint64_t inodes = 0;
        while (header.type != DumpRecord::end) {
            if (header.type == DumpRecord::tape) {
                return Error(Errc::unsupported, "the dump goes on on another volume")
                    .remedy("dump it again as one file");
            }
            if (header.type == DumpRecord::inode) {
                ZF_TRY(header, inode(header));
                if (progress && ++inodes % kProgressEveryFiles == 0)
                    progress({"unpacking", sink_.files(), sink_.bytes()});
                continue;
            }
            ZF_TRY_STATUS(skip(header));
            ZF_TRY(header, next());
        }
        if (!names_.is_complete()) ZF_TRY_STATUS(make_directories());
        return tell_missing();
    }

private:
    Result<DumpHeader> next() {
        ZF_TRY_STATUS(read_whole(source_, record_));
        return parser_.header(record_);
    }

    Status skip(const DumpHeader& header) {
        const bool is_map = header.type == DumpRecord::clear || header.type == DumpRecord::bits;
        const auto present =
            std::count(header.present.begin(), header.present.begin() + (is_map ? 0 : header.count), true);
        const std::size_t records = is_map ? header.count : static_cast<std::size_t>(present);
        for (std::size_t i = 0; i < records; ++i) ZF_TRY_STATUS(read_whole(source_, record_));
        return {};
    }

    // Gives the data of an inode to take(offset, bytes), record by record; the header behind them is returned.
    template <class Take>
    Result<DumpHeader> data(DumpHeader header, const Take& take) {
        const std::uint32_t number = header.inode;
        const std::uint64_t size = header.size;
        std::uint64_t offset = 0;
        do {
            for (std::size_t i = 0; i < header.count; ++i, offset += kDumpRecordBytes) {
                if (!header.present[i]) continue;
                ZF_TRY_STATUS(read_whole(source_, record_));
                if (offset >= size) continue;
                const std::size_t wanted = std::min<std::uint64_t>(kDumpRecordBytes, size - offset);
                ZF_TRY_STATUS(take(offset, ConstBytes(record_).first(wanted)));
            }
            ZF_TRY(header, next());
        } while (header.type == DumpRecord::address && header.inode == number);
        return header;
    }

    Result<DumpHeader> inode(const DumpHeader& header) {
        if (header.is_attributes) return attributes(header);
        if (S_ISDIR(header.mode)) return directory(header);
        if (!names_.is_complete()) ZF_TRY_STATUS(make_directories());
        last_path_.reset();
        const std::vector<std::string> paths = names_.take(header.inode);
        if (paths.empty()) return data(header, [](std::uint64_t, ConstBytes) { return Status(); });
        ZF_TRY(DumpHeader behind, entry(header, paths.front()));
        for (std::size_t i = 1; i < paths.size(); ++i) ZF_TRY_STATUS(sink_.hard_link(paths[i], paths.front()));
        if (S_ISREG(header.mode)) last_path_ = paths.front();
        return behind;
    }

    Result<DumpHeader> entry(const DumpHeader& header, const std::string& path) {
        if (S_ISREG(header.mode)) return file(header, path);
        if (S_ISLNK(header.mode)) return link(header, path);
        if (S_ISFIFO(header.mode)) {
            ZF_TRY_STATUS(sink_.fifo(path, metadata_of(header)));
        } else if (!S_ISSOCK(header.mode)) {
            return Error(Errc::invalid,
                         "the dump's entry \"" + printable(path) + "\" is a device or of an unknown kind: refused");
        }
        return data(header, [](std::uint64_t, ConstBytes) { return Status(); });
    }

    Result<DumpHeader> directory(const DumpHeader& header) {
        if (names_.is_complete()) return damaged("a directory comes after a file");
        ZF_TRY_STATUS(names_.begin_directory(header.inode, metadata_of(header)));
        return data(header, [&](std::uint64_t, ConstBytes bytes) { return names_.add_data(bytes); });
    }

    Status make_directories() {
        last_path_.reset();
        return names_.complete(parser_, [&](const std::string& path, EntryMetadata metadata) {
            return sink_.directory(path, std::move(metadata));
        });
    }

    Result<DumpHeader> file(const DumpHeader& header, const std::string& path) {
        constexpr std::size_t kWriteBytes = 1 << 18;
        ZF_TRY_STATUS(sink_.begin_file(path));
        if (header.size > std::uint64_t{INT64_MAX}) return damaged("a file has an impossible size");
        ByteVector waiting;
        std::uint64_t begin = 0;
        const auto flush = [&]() -> Status {
            if (waiting.empty()) return {};
            ZF_TRY_STATUS(sink_.write(begin, waiting));
            waiting.clear();
            return {};
        };
        auto behind = data(header, [&](std::uint64_t offset, ConstBytes bytes) -> Status {
            if (offset != begin + waiting.size() || waiting.size() >= kWriteBytes) ZF_TRY_STATUS(flush());
            if (waiting.empty()) begin = offset;
            append_bytes(waiting, bytes);
            return {};
        });
        if (!behind) return std::move(behind).error().during("the dump's entry \"" + printable(path) + "\"");
        ZF_TRY_STATUS(flush());
        ZF_TRY_STATUS(sink_.finish_file(header.size, metadata_of(header)));
        return behind;
    }

    Result<DumpHeader> link(const DumpHeader& header, const std::string& path) {
        if (header.size > kImagePathBytesMax) return damaged("a symbolic link is longer than 4095 bytes");
        std::string target;
        ZF_TRY(DumpHeader behind, data(header, [&](std::uint64_t, ConstBytes bytes) {
                   target += as_text(bytes);
                   return Status();
               }));
        ZF_TRY_STATUS(sink_.symlink(path, target, metadata_of(header)));
        return behind;
    }

    // Of the directory or file right before.
    Result<DumpHeader> attributes(const DumpHeader& header) {
        if (header.size > kImageXattrBytesMax) return damaged("extended attributes are longer than 64 KiB");
        ByteVector bytes;
        ZF_TRY(DumpHeader behind, data(header, [&](std::uint64_t, ConstBytes more) {
                   append_bytes(bytes, more);
                   return Status();
               }));
        ZF_TRY(const std::vector<ImageXattr> found, parse_dump_xattrs(bytes));
        for (const ImageXattr& xattr : found) {
            if (!is_kept_xattr(xattr.name)) continue;
            if (!names_.is_complete()) {
                kept_xattr_bytes_ += xattr.name.size() + xattr.value.size();
                if (kept_xattr_bytes_ > kImageKeptXattrBytesMax)
                    return Error(Errc::invalid, "the dump's directories have more than 64 MiB of extended attributes");
                names_.add_xattr(header.inode, xattr);
            } else if (last_path_) {
                ZF_TRY_STATUS(sink_.set_xattr(*last_path_, xattr));
            }
        }
        return behind;
    }

    // A name without its inode: the file went while the dump was made, or is of a kind that dump leaves out.
    Status tell_missing() {
        constexpr std::size_t kShownMax = 20;
        const std::vector<std::string> missing = names_.left(kShownMax);
        for (const std::string& path : missing)
            report_.warnings.push_back("the dump has the name \"" + printable(path) + "\", but no file for it");
        if (names_.left_count() > missing.size()) {
            report_.warnings.push_back("and " + std::to_string(names_.left_count() - missing.size()) +
                                       " more names without a file");
        }
        return {};
    }

    ByteSource& source_;
    DumpParser parser_;
    ImageSink& sink_;
    InstallReport& report_;
    ByteVector record_;
    DumpNames names_;
    std::size_t kept_xattr_bytes_ = 0;
    std::optional<std::string> last_path_;  // of the regular file just written
};

}  // namespace

Status unpack_dump(ByteSource& source, ImageSink& sink, InstallReport& report,
                   const InstallProgressCallback& progress) {
    ByteVector first(kDumpRecordBytes);
    ZF_TRY_STATUS(read_whole(source, first));
    ZF_TRY(const DumpParser parser, DumpParser::create(first));
    return Unpacker(source, parser, sink, report).run(progress);
}

}  // namespace zoneferry
