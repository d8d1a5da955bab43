// The first pass over an archive: nothing of it is written but what tells what system it is, into a place of the host.
// What it costs is counted, and an archive that is damaged or holds what may not be is refused before the zone is
// touched (names that come twice or lead through links are seen by the second pass only).
//
// Kept, as in the image: os-release, the package database (dpkg: status, arch; svr4: contents, pkginfo, depend),
// INST_RELEASE. Kept empty, to be seen: the directories and programs that make a whole system (kMarkers).
#pragma once

#include <set>
#include <string>

#include "core/image/image_sink.h"

namespace zoneferry {

// What an image takes on the zonepath's file system.
struct ImageCost {
    std::uint64_t bytes = 0;   // allocated: blocks of 4 KiB, holes are free
    std::uint64_t inodes = 0;  // a file with several names once
};

class ImageSurvey : public ImageSink {
public:
    // kept: writes into an empty directory of the host.
    ImageSurvey(ImageWriter& kept, PackageSystem system) : ImageSink(system), kept_(kept) {}

    const ImageCost& cost() const { return cost_; }

    Status directory(const std::string& path, EntryMetadata metadata) override;
    Status begin_file(const std::string& path) override;
    Result<bool> reopen_empty_file(const std::string& path) override;
    Status write(std::uint64_t offset, ConstBytes bytes) override;
    Status finish_file(std::uint64_t size, const EntryMetadata& metadata) override;
    Status symlink(const std::string& path, const std::string& target, const EntryMetadata& metadata) override;
    Status hard_link(const std::string& path, const std::string& existing) override;
    Status fifo(const std::string& path, const EntryMetadata& metadata) override;
    Status set_xattr(const std::string&, const ImageXattr&) override { return {}; }
    // Empty accounts: names in ACLs are judged by the second pass.
    std::string small_file(const std::string&) const override { return {}; }
    std::uint64_t files() const override { return files_; }
    std::uint64_t bytes() const override { return bytes_; }

private:
    Status count_entry(const std::string& path);

    ImageWriter& kept_;
    ImageCost cost_;
    std::uint64_t files_ = 0;
    std::uint64_t bytes_ = 0;
    std::string path_;              // of the open file
    UniqueFd file_;                 // of the open file, if it is kept
    std::uint64_t blocks_end_ = 0;  // of the open file: counted up to here, in blocks
    std::uint64_t kept_bytes_ = 0;  // of all
    std::set<std::string> empty_;   // files without data so far: a later name may bring them (cpio)
    std::string linked_to_;         // by the last hard_link()
};

// True for the paths whose content the survey keeps, and for those that it keeps as empty marks. Pure.
bool is_surveyed_file(std::string_view path);
bool is_survey_marker(std::string_view path);

}  // namespace zoneferry
