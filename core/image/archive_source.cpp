#include "core/image/archive_source.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/text.h"
#include "core/image/archive_acl.h"
#include "core/image/archive_reader.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text); }

class Unpacker {
public:
    Unpacker(ArchiveReader& reader, ImageSink& sink) : reader_(reader), sink_(sink) {}

    Status entry(archive_entry* entry) {
        ZF_TRY(const std::string path, image_path(text_of(::archive_entry_pathname(entry))));
        if (is_volatile_path(path, sink_.package_system())) return {};
        const bool is_link = ::archive_entry_hardlink(entry) != nullptr;
        if (path.empty() && (is_link || ::archive_entry_filetype(entry) != AE_IFDIR))
            return Error(Errc::invalid, "the archive's entry for the root is not a directory: refused");
        ZF_TRY(EntryMetadata metadata, metadata_of(entry, path));
        if (const char* target = ::archive_entry_hardlink(entry); target != nullptr) {
            ZF_TRY(const std::string existing, image_path(target));
            ZF_TRY_STATUS(sink_.hard_link(path, existing));
            const bool is_cpio = (::archive_format(reader_.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_CPIO;
            const bool is_file = ::archive_entry_filetype(entry) == AE_IFREG && ::archive_entry_size(entry) > 0;
            if (!is_cpio || !is_file) return {};
            ZF_TRY(const bool wanted, sink_.reopen_empty_file(path));  // newc: the data come with the last name
            if (!wanted) return {};                                    // the others: with each
            return contents(entry, path, metadata);
        }
        switch (::archive_entry_filetype(entry)) {
            case AE_IFREG: return file(entry, path, metadata);
            case AE_IFDIR: return sink_.directory(path, std::move(metadata));
            case AE_IFLNK: return sink_.symlink(path, text_of(::archive_entry_symlink(entry)), metadata);
            case AE_IFIFO: return sink_.fifo(path, metadata);
            default:
                return Error(Errc::invalid, "the archive's entry \"" + printable(path) +
                                                "\" is a device or of an unknown kind: refused");
        }
    }

    // ACLs that name accounts, once the image's own account files are there.
    Status finish_acls() {
        if (waiting_.empty()) return {};
        const std::string passwd = sink_.small_file("etc/passwd");
        const std::string group = sink_.small_file("etc/group");
        for (const auto& [path, acl] : waiting_) {
            auto value = encode_acl(acl, passwd, group);
            if (!value) return std::move(value).error().during("the archive's entry \"" + printable(path) + "\"");
            ZF_TRY_STATUS(sink_.set_xattr(path, {acl.xattr, *std::move(value)}));
        }
        return {};
    }

private:
    Result<EntryMetadata> metadata_of(archive_entry* entry, const std::string& path) {
        EntryMetadata metadata;
        metadata.permissions = ::archive_entry_perm(entry) & 07777;
        const std::int64_t uid = ::archive_entry_uid(entry);
        const std::int64_t gid = ::archive_entry_gid(entry);
        constexpr std::int64_t kIdMax = 0xfffffffe;
        if (uid < 0 || gid < 0 || uid > kIdMax || gid > kIdMax) {
            return Error(Errc::invalid, "the archive's entry \"" + printable(path) + "\" has an impossible owner");
        }
        metadata.uid = static_cast<uid_t>(uid);
        metadata.gid = static_cast<gid_t>(gid);
        metadata.modified = {::archive_entry_mtime(entry), ::archive_entry_mtime_nsec(entry)};
        ZF_TRY_STATUS(add_xattrs(entry, path, metadata));
        return metadata;
    }

    Status add_xattrs(archive_entry* entry, const std::string& path, EntryMetadata& metadata) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        ::archive_entry_xattr_reset(entry);
        while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
            if (!is_kept_xattr(name)) continue;
            if (metadata.xattrs.size() >= kImageXattrsMax || size > kImageXattrBytesMax) {
                return Error(Errc::invalid, "the archive's entry \"" + printable(path) +
                                                "\" has too many or too large extended attributes: refused");
            }
            metadata.xattrs.push_back({name, std::string(static_cast<const char*>(value), size)});
        }
        auto acls = read_acls(entry);
        if (!acls) return std::move(acls).error().during("the archive's entry \"" + printable(path) + "\"");
        for (ArchiveAcl& acl : *acls) {
            if (has_names(acl)) {
                if (waiting_.size() >= kImageNamedAclsMax) return Error(Errc::invalid, "too many ACLs by name");
                waiting_.emplace_back(path, std::move(acl));
            } else {
                ZF_TRY(std::string encoded, encode_acl(acl, "", ""));
                metadata.xattrs.push_back({acl.xattr, std::move(encoded)});
            }
        }
        return {};
    }

    Status file(archive_entry* entry, const std::string& path, const EntryMetadata& metadata) {
        ZF_TRY_STATUS(sink_.begin_file(path));
        return contents(entry, path, metadata);
    }

    Status contents(archive_entry* entry, const std::string& path, const EntryMetadata& metadata) {
        const std::int64_t size = ::archive_entry_size(entry);
        if (size < 0) return Error(Errc::invalid, "the archive's entry \"" + printable(path) + "\" has no size");
        while (true) {
            const void* data = nullptr;
            std::size_t length = 0;
            la_int64_t offset = 0;
            const int got = ::archive_read_data_block(reader_.get(), &data, &length, &offset);
            if (got == ARCHIVE_EOF) break;
            if (got != ARCHIVE_OK) return reader_.error(path);
            if (offset < 0 || offset > size || static_cast<std::int64_t>(length) > size - offset) {
                return Error(Errc::corrupt, "the archive's entry \"" + printable(path) + "\" is larger than it says");
            }
            if (length == 0) continue;
            ZF_TRY_STATUS(sink_.write(static_cast<std::uint64_t>(offset),
                                      ConstBytes(static_cast<const std::byte*>(data), length)));
        }
        return sink_.finish_file(static_cast<std::uint64_t>(size), metadata);
    }

    ArchiveReader& reader_;
    ImageSink& sink_;
    std::vector<std::pair<std::string, ArchiveAcl>> waiting_;
};

// A tar that was cut between two entries looks whole to libarchive, but lacks its two closing zero blocks. (A cpio's
// end is an entry, and libarchive misses it.)
Status check_end(ArchiveReader& reader, PeekSource& source) {
    ZF_TRY_STATUS(drain(source));
    const bool is_tar = (::archive_format(reader.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    const ConstBytes tail = source.tail();
    const bool is_marked = tail.size() == PeekSource::kTailBytes &&
                           std::all_of(tail.begin(), tail.end(), [](std::byte byte) { return byte == std::byte{0}; });
    if (!is_tar || is_marked) return {};
    return Error(Errc::corrupt, "the archive ends early: its closing mark is missing")
        .remedy("check that the archive is complete; nothing of it was kept");
}

}  // namespace

Status unpack_archive(PeekSource& source, ImageSink& sink, const InstallProgressCallback& progress) {
    ArchiveReader reader(source);
    ::archive_read_support_format_tar(reader.get());
    ::archive_read_support_format_cpio(reader.get());
    ZF_TRY_STATUS(reader.open());
    Unpacker unpacker(reader, sink);
    std::uint64_t entries = 0;
    while (true) {
        archive_entry* entry = nullptr;
        const int got = ::archive_read_next_header(reader.get(), &entry);
        if (got == ARCHIVE_EOF) break;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return reader.error();
        ZF_TRY_STATUS(unpacker.entry(entry));
        ++entries;
        if (progress && entries % kProgressEveryFiles == 0) progress({"unpacking", sink.files(), sink.bytes()});
    }
    if (entries == 0) return Error(Errc::invalid, "the archive is empty");
    ZF_TRY_STATUS(unpacker.finish_acls());
    return check_end(reader, source);
}

}  // namespace zoneferry
